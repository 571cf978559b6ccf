// The floating chat button for a shop's own pages:
//   <script src="https://HOST/chat/widget.js" async></script>
// Optional: data-order="TOKEN" (order link), data-color="#0b766f", data-label="联系客服".
// It lives in a shadow root and takes its styles from a constructed sheet, so that neither the
// shop's styles nor its style-src policy reach it.

(() => {
  "use strict";

  const TAG = "huiyin-chat";
  const script = document.currentScript;
  if (!script || document.querySelector(TAG)) return;

  const chatUrl = new URL("../chat?widget=1", script.src);
  const order = script.dataset.order;
  if (order) chatUrl.hash = `order=${encodeURIComponent(order)}`;
  const label = script.dataset.label || "联系客服";
  const color = /^#[0-9a-f]{6}$/i.test(script.dataset.color ?? "") ? script.dataset.color : "#0b766f";

  /** White or near-black, whichever is easier to read on `hex` (WCAG relative luminance). */
  function readableOn(hex) {
    const [r, g, b] = [1, 3, 5].map((i) => {
      const part = parseInt(hex.slice(i, i + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#101716" : "#ffffff";
  }

  const CSS = `
    :host { all: initial; --color: ${color}; --on-color: ${readableOn(color)}; }
    * { box-sizing: border-box; }
    [hidden] { display: none !important; }
    button {
      display: flex; align-items: center; justify-content: center; margin: 0; border: 0; padding: 0; cursor: pointer;
      font: 600 16px/1 -apple-system, "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif;
    }
    button:focus-visible { outline: 3px solid var(--color); outline-offset: 3px; }
    svg { width: 26px; height: 26px; flex: none; fill: none; stroke: currentColor; stroke-width: 2;
      stroke-linecap: round; stroke-linejoin: round; }
    .launch {
      position: fixed; z-index: 2147483000; gap: 9px; height: 56px; padding: 0 22px 0 18px; border-radius: 28px;
      right: calc(20px + env(safe-area-inset-right)); bottom: calc(20px + env(safe-area-inset-bottom));
      background: var(--color); color: var(--on-color);
      box-shadow: 0 8px 28px rgb(0 0 0 / 24%), 0 0 0 1px rgb(255 255 255 / 18%); transition: transform .18s;
    }
    .launch:hover { transform: translateY(-2px); }
    .badge {
      position: absolute; top: -5px; right: -3px; min-width: 24px; padding: 4px 7px; border: 2px solid #fff;
      border-radius: 14px; background: #c62f26; color: #fff; font-size: 13px; font-variant-numeric: tabular-nums;
      text-align: center;
    }
    .panel {
      position: fixed; z-index: 2147483001; width: 380px; height: 600px; max-width: calc(100vw - 40px);
      right: calc(20px + env(safe-area-inset-right)); bottom: calc(88px + env(safe-area-inset-bottom));
      max-height: calc(100vh - 108px); overflow: hidden; border-radius: 20px; background: #fff; color: #17211f;
      box-shadow: 0 20px 60px rgb(8 40 36 / 28%), 0 0 0 1px rgb(8 40 36 / 10%); animation: rise .2s ease-out;
    }
    .wait {
      position: absolute; inset: 0; display: grid; place-items: center; color: inherit;
      font: 15px/1.5 -apple-system, "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif;
    }
    iframe { position: absolute; inset: 0; width: 100%; height: 100%; border: 0; }
    .close {
      position: absolute; z-index: 1; top: calc(10px + env(safe-area-inset-top)); right: calc(10px + env(safe-area-inset-right));
      width: 44px; height: 44px; border-radius: 22px; background: transparent; color: inherit;
    }
    .close:hover { background: rgb(128 140 138 / 20%); }
    .close svg { width: 22px; height: 22px; }
    @media (prefers-color-scheme: dark) {
      .panel { background: #182220; color: #e7efed; box-shadow: 0 20px 60px rgb(0 0 0 / 60%), 0 0 0 1px #2b3835; }
    }
    @media (max-width: 520px) {
      .launch { width: 56px; padding: 0; }
      .text { display: none; }
      .panel { inset: 0; width: 100%; height: 100%; max-width: none; max-height: none; border-radius: 0; }
      iframe { top: env(safe-area-inset-top); height: calc(100% - env(safe-area-inset-top) - env(safe-area-inset-bottom)); }
    }
    @media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
    @media print { .launch, .panel { display: none; } }
    @keyframes rise { from { opacity: 0; transform: translateY(16px); } }
  `;

  function make(tag, className, attributes = {}) {
    const element = document.createElement(tag);
    element.className = className;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  function icon(path) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("d", path);
    svg.append(line);
    return svg;
  }

  const SPEECH = "M12 3.5c-5 0-9 3.4-9 7.6 0 2.5 1.4 4.7 3.5 6-.1 1.3-.7 2.5-1.5 3.4 1.8-.1 3.4-.8 4.7-1.9.7.1 1.5.2 2.3.2 5 0 9-3.4 9-7.6s-4-7.7-9-7.7ZM8.5 11.2v.1M12 11.2v.1M15.5 11.2v.1";

  const host = document.createElement(TAG);
  const root = host.attachShadow({ mode: "open" });
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    root.adoptedStyleSheets = [sheet];
  } catch {
    // Safari before 16.4 cannot construct sheets; a style element needs the page's policy to allow it.
    const style = document.createElement("style");
    style.textContent = CSS;
    root.append(style);
  }

  const launch = make("button", "launch", {
    type: "button",
    "aria-expanded": "false",
    "aria-controls": "panel",
    "aria-label": label,
  });
  const text = make("span", "text");
  text.textContent = label;
  const badge = make("span", "badge", { "aria-hidden": "true" });
  badge.hidden = true;
  launch.append(icon(SPEECH), text, badge);

  const panel = make("section", "panel", { id: "panel", role: "dialog", "aria-label": label });
  panel.hidden = true;
  const close = make("button", "close", { type: "button", "aria-label": "关闭聊天" });
  close.append(icon("M6 6l12 12M18 6L6 18"));
  const wait = make("div", "wait");
  wait.textContent = "正在打开…";
  panel.append(wait, close);
  root.append(panel, launch);

  let frame = null;
  let loaded = false;

  function tellFrame() {
    if (loaded) frame.contentWindow.postMessage({ type: "huiyin:shown", shown: !panel.hidden }, chatUrl.origin);
  }

  function open() {
    panel.hidden = false;
    launch.setAttribute("aria-expanded", "true");
    if (!frame) {
      frame = make("iframe", "", { title: label, allow: "" });
      frame.addEventListener("load", () => {
        wait.hidden = true;
        loaded = true;
        tellFrame();
        if (!panel.hidden) frame.focus();
      });
      frame.src = chatUrl.href;
      panel.append(frame);
    }
    tellFrame();
    frame.focus();
  }

  function shut() {
    if (panel.hidden) return;
    panel.hidden = true;
    launch.setAttribute("aria-expanded", "false");
    tellFrame();
    launch.focus();
  }

  function showUnread(count) {
    badge.hidden = !(count > 0);
    badge.textContent = count > 99 ? "99+" : String(count);
    launch.setAttribute("aria-label", count > 0 ? `${label}，${count} 条新消息` : label);
  }

  launch.addEventListener("click", () => (panel.hidden ? open() : shut()));
  close.addEventListener("click", shut);
  root.addEventListener("keydown", (event) => event.key === "Escape" && shut());
  window.addEventListener("message", (event) => {
    if (!frame || event.source !== frame.contentWindow || event.origin !== chatUrl.origin) return;
    if (event.data?.type === "huiyin:close") shut();
    else if (event.data?.type === "huiyin:unread" && Number.isSafeInteger(event.data.count)) showUnread(event.data.count);
  });

  if (document.body) document.body.append(host);
  else document.addEventListener("DOMContentLoaded", () => document.body.append(host));
})();
