// What Redoc needs to keep to the Content-Security-Policy, which it can't be told itself: the styles it makes while it
// runs get the nonce of the page, and the logo of its maker, which is on another host, is not asked for.
"use strict";

{
  const nonce = document.getElementById("redoc").dataset.nonce;
  const createElement = document.createElement.bind(document);
  document.createElement = (...what) => {
    const made = createElement(...what);
    if (made instanceof HTMLStyleElement) made.nonce = nonce;
    return made;
  };

  // An image that can't be read is left out by Redoc.
  const ours = (address) => (new URL(address, location.href).host === location.host ? address : "data:,");
  const { get, set } = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
  Object.defineProperty(HTMLImageElement.prototype, "src", {
    get,
    set(address) {
      set.call(this, ours(address));
    },
  });
  HTMLImageElement.prototype.setAttribute = function (name, value) {
    Element.prototype.setAttribute.call(this, name, name === "src" ? ours(value) : value);
  };
}
