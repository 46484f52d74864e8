"use strict";

{
  const place = document.getElementById("redoc");
  const system = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
  Redoc.init(place.dataset.schema, {
    hideDownloadButton: false,
    jsonSampleExpandLevel: 3,
    pathInMiddlePanel: true,
    requiredPropsFirst: true,
    theme: { typography: { fontFamily: system, headings: { fontFamily: system } } },
  }, place);
}
