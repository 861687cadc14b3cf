/** What the generator leaves to a mouse or without a name. */
function mend() {
  // a table that is wider than a telephone scrolls: by the keyboard, too
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])")) {
    table.setAttribute("tabindex", "0");
    table.setAttribute("role", "group");
    table.setAttribute("aria-label", "Table");
  }
  // the generator calls the button of each piece of code a navigation: each needs its own name then
  for (const [at, buttons] of document.querySelectorAll(".md-code__nav").entries()) {
    if (!buttons.hasAttribute("aria-label")) buttons.setAttribute("aria-label", `Code ${at + 1}`);
  }
}

mend();
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
