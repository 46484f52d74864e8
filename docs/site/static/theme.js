// Before anything is drawn: what the reader has chosen, else what their system says.
document.body.dataset.theme = localStorage.getItem("theme") || "auto";
