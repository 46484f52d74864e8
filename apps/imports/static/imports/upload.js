// Says by the first line of a file what made it; whoever sends it may choose otherwise.
const SIGNS = [
  ["wordpress", /<rss|wordpress\.org\/export/i],
  ["shopify", /(^|[,;\t"])handle([,;\t"]|$)/im],
  ["woocommerce", /(^|[,;\t"])(published|in stock\?|tax status|regular price)([,;\t"]|$)/im],
];
const LOOKED_AT = 4096;

const file = document.querySelector("input[name=file]");
const format = document.querySelector("select[name=format]");

file?.addEventListener("change", async () => {
  const start = file.files[0] ? await file.files[0].slice(0, LOOKED_AT).text() : "";
  const found = SIGNS.find(([name, sign]) => sign.test(start) && [...format.options].some((option) => option.value === name));
  if (found) format.value = found[0];
});
