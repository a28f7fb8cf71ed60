// Comforts of the page: it can be read without them.
(() => {
  "use strict";
  const contents = document.querySelector(".contents details");
  const wide = matchMedia("(min-width: 1160px)");
  const unfold = () => { contents.open = wide.matches; };
  document.documentElement.classList.add("js");
  unfold();
  wide.addEventListener("change", unfold);
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && !wide.matches) contents.open = false;
  });

  // the section being read is marked in the contents
  const links = new Map(
    [...contents.querySelectorAll("a")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]),
  );
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const id of links.keys()) {
    const target = document.getElementById(id);
    if (target) seen.observe(target);
  }

  // an explanation opens beside its word and closes when that is scrolled away; on a phone it
  // keeps its place at the lower edge
  const near = matchMedia("(min-width: 700px)");
  let word = null;
  let opened = 0;
  document.addEventListener("click", (event) => {
    word = event.target.closest(".term") || word;
  }, true);
  for (const told of document.querySelectorAll(".word")) {
    told.addEventListener("toggle", (event) => {
      told.style.cssText = "";
      if (event.newState !== "open" || !word || !near.matches) return;
      const at = word.getBoundingClientRect();
      const left = Math.max(12, Math.min(at.left, innerWidth - told.offsetWidth - 12));
      const below = at.bottom + 8;
      const above = at.top - told.offsetHeight - 8;
      const top = below + told.offsetHeight < innerHeight ? below : Math.max(8, above);
      told.style.cssText = `inset:auto;left:${left}px;top:${top}px`;
      opened = scrollY;
    });
  }
  addEventListener("scroll", () => {
    if (!near.matches || Math.abs(scrollY - opened) < 40) return;
    document.querySelector(".word:popover-open")?.hidePopover();
  }, { passive: true });
})();
