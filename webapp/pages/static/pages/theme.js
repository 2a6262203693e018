// Light or dark: what the system prefers, until the person chooses. Loaded before the page is drawn, so nothing flashes.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const read = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const write = (theme) => { try { localStorage.setItem("theme", theme); } catch { /* private windows: it holds for this page */ } };

  const show = (theme) => {
    root.dataset.bsTheme = theme;
    document.getElementById("theme-toggle")?.setAttribute("aria-pressed", String(theme === "dark"));
  };
  const current = () => read() ?? (dark.matches ? "dark" : "light");

  root.classList.add("js");
  show(current());
  dark.addEventListener("change", () => show(current()));
  document.addEventListener("DOMContentLoaded", () => {
    show(current());
    document.getElementById("theme-toggle")?.addEventListener("click", () => {
      const next = root.dataset.bsTheme === "dark" ? "light" : "dark";
      write(next);
      show(next);
    });
  });
})();
