"use strict";
(() => {
  const pictures = JSON.parse(document.getElementById("pictures").textContent);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const images = new Set(all("[data-choose]").map((element) => element.dataset.choose)).size || 1;
  let image = 0;

  // Light and dark: the system's choice until the reader chooses.
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // A picture is decoded when it comes near the window, and again when another image is chosen.
  const show = (element) => {
    const keys = JSON.parse(element.dataset.pictures);
    const source = pictures[keys[Math.min(image, keys.length - 1)]];
    if (element.getAttribute("src") !== source) element.src = source;
  };
  const near = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) { near.add(target); show(target); } else { near.delete(target); }
    }
  }, { rootMargin: "600px" });
  all("img[data-pictures]").forEach((element) => watcher.observe(element));
  window.addEventListener("beforeprint", () => all("img[data-pictures]").forEach(show));

  const choose = (next) => {
    image = (next + images) % images;
    all("[data-image]").forEach((element) => { element.hidden = Number(element.dataset.image) !== image; });
    all("[data-choose]").forEach((element) => {
      element.setAttribute("aria-pressed", String(Number(element.dataset.choose) === image));
    });
    all("[data-texts]").forEach((element) => {
      const texts = JSON.parse(element.dataset.texts);
      element.textContent = texts[Math.min(image, texts.length - 1)];
    });
    near.forEach(show);
    if (zoom.open) look();
  };
  all("[data-choose]").forEach((element) => {
    element.addEventListener("click", () => choose(Number(element.dataset.choose)));
  });

  // One channel of a layer, from every engine, side by side.
  const zoom = document.getElementById("zoom");
  const panels = document.getElementById("zoom-panels");
  const number = document.getElementById("zoom-channel");
  let layer = null;
  let channel = 0;

  const cut = (button) => {
    const [columns, width, height, shown] = JSON.parse(button.dataset.grid);
    const source = button.querySelector("img");
    show(source);
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const at = Math.min(channel, shown - 1);
    const x = (at % columns) * (width + 1);
    const y = Math.floor(at / columns) * (height + 1);
    const draw = () => canvas.getContext("2d").drawImage(source, x, y, width, height, 0, 0, width, height);
    if (source.complete && source.naturalWidth) draw();
    else source.addEventListener("load", draw, { once: true });
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = button.dataset.title;
    figure.append(caption, canvas);
    const scale = button.parentElement.querySelector(".scale");
    if (scale) figure.append(scale.cloneNode(true));
    return figure;
  };
  const look = () => {
    const buttons = all("button.maps", layer);
    const shown = Math.min(...buttons.map((button) => JSON.parse(button.dataset.grid)[3]));
    channel = (channel + shown) % shown;
    number.max = String(shown - 1);
    number.value = String(channel);
    document.getElementById("zoom-title").textContent =
      `${layer.querySelector("h3").textContent.trim()}, channel ${channel} of ${JSON.parse(buttons[0].dataset.grid)[4]}`;
    panels.replaceChildren(...buttons.map(cut));
  };
  const open = (button, event) => {
    layer = button.closest(".layer");
    channel = 0;
    if (event.detail) { // a pointer: the map under it
      const [columns, width, height, shown] = JSON.parse(button.dataset.grid);
      const box = button.querySelector("img").getBoundingClientRect();
      const rows = Math.ceil(shown / columns);
      const x = (event.clientX - box.left) / box.width * (columns * (width + 1) - 1);
      const y = (event.clientY - box.top) / box.height * (rows * (height + 1) - 1);
      const at = Math.floor(y / (height + 1)) * columns + Math.floor(x / (width + 1));
      channel = Math.max(0, Math.min(shown - 1, at));
    }
    zoom.showModal();
    look();
  };
  all("button.maps").forEach((button) => button.addEventListener("click", (event) => open(button, event)));
  const turn = (by) => { channel += by; look(); };
  number.addEventListener("change", () => { channel = Number(number.value) || 0; look(); });
  document.getElementById("zoom-before").addEventListener("click", () => turn(-1));
  document.getElementById("zoom-after").addEventListener("click", () => turn(1));
  document.getElementById("zoom-close").addEventListener("click", () => zoom.close());
  zoom.addEventListener("click", (event) => { if (event.target === zoom) zoom.close(); });

  // Layers by j and k; the rail follows what is on the screen.
  const layers = all(".layer");
  const current = () => {
    let found = -1;
    layers.forEach((element, index) => { if (element.getBoundingClientRect().top < 140) found = index; });
    return found;
  };
  const go = (index) => {
    const target = layers[Math.max(0, Math.min(layers.length - 1, index))];
    if (!target) return;
    target.scrollIntoView({ block: "start" });
    target.focus({ preventScroll: true });
  };
  const mark = () => {
    const target = layers[Math.max(0, current())];
    all(".rail a").forEach((link) => {
      if (target && link.getAttribute("href") === `#${target.id}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  };
  let waiting = false;
  window.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    window.requestAnimationFrame(() => { waiting = false; mark(); });
  }, { passive: true });
  mark();

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && zoom.open) turn(step);
    else if (step && images > 1) choose(image + step);
    else if (event.key === "j" && !zoom.open) go(current() + 1);
    else if (event.key === "k" && !zoom.open) go(current() - 1);
    else return;
    event.preventDefault();
  });
})();
