// One line of the talk as elements. Text goes in as text nodes only, never as markup.

const WEB_ADDRESS = /https?:\/\/[^\s<>"'`\\^{}|，。！？；：、（）【】《》「」『』“”‘’]+/gi;
const AFTER_ADDRESS = /[.,!?;:)\]]+$/;
const CLOCK = new Intl.DateTimeFormat("zh-CN", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat("zh-CN", { month: "long", day: "numeric", weekday: "short" });
const DAY_OF_YEAR = new Intl.DateTimeFormat("zh-CN", { dateStyle: "long" });
const GROUP_MS = 5 * 60_000;

/** An element with classes, text and attributes. */
export function make(tag, className = "", text = "", attributes = {}) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function linkTo(address) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  // "https://taobao.com@elsewhere.example" shows one shop and opens another place.
  if (!/^https?:$/.test(url.protocol) || url.username || url.password) return null;
  const link = make("a", "", address, { target: "_blank", rel: "noopener noreferrer", dir: "ltr" });
  link.href = url.href;
  return link;
}

/** Fills `element` with `text`, its web addresses made links. */
export function fillText(element, text) {
  let from = 0;
  for (const match of text.matchAll(WEB_ADDRESS)) {
    const address = match[0].replace(AFTER_ADDRESS, "");
    const link = linkTo(address);
    if (!link) continue;
    element.append(text.slice(from, match.index), link);
    from = match.index + address.length;
  }
  element.append(text.slice(from));
}

function dayLabel(date) {
  const today = new Date();
  const days = Math.round((new Date(today).setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0) return "今天";
  if (days === 1) return "昨天";
  return (date.getFullYear() === today.getFullYear() ? DAY : DAY_OF_YEAR).format(date);
}

/** A line that names the day of `when` (ISO 8601). */
export function buildDay(when) {
  return make("div", "day", dayLabel(new Date(when)), { "data-when": when });
}

/** Names the days under `root` anew: after midnight, "today" is yesterday. */
export function renameDays(root) {
  for (const day of root.querySelectorAll(".day")) day.textContent = dayLabel(new Date(day.dataset.when));
}

export function sameDay(one, other) {
  return new Date(one).toDateString() === new Date(other).toDateString();
}

/** Whether `message` goes on in the group that `previous` began: no new name, no new picture. */
export function sameGroup(previous, message) {
  return (
    previous.author === message.author &&
    previous.staff_name === message.staff_name &&
    sameDay(previous.created_at, message.created_at) &&
    new Date(message.created_at) - new Date(previous.created_at) < GROUP_MS
  );
}

export function setAvatar(element, author, name) {
  // A whole character, not half of a surrogate pair.
  element.textContent = author === "staff" ? [...(name || "客")][0] : "";
}

/** The row of one message; `grouped` when it goes on in the group above it. */
export function buildRow(message, grouped) {
  if (message.author === "system") {
    const row = make("div", "system");
    const text = make("p", "", "", { dir: "auto" });
    fillText(text, message.text);
    row.append(text);
    return row;
  }
  const row = make("div", `row ${message.author}${grouped ? " grouped" : ""}`);
  const stack = make("div", "stack");
  if (message.author === "customer") {
    stack.append(make("span", "unseen", "我："));
  } else {
    const avatar = make("span", "avatar", "", { "aria-hidden": "true" });
    setAvatar(avatar, message.author, message.staff_name);
    row.append(avatar);
    const who = make("div", grouped || message.author === "bot" ? "unseen" : "who");
    who.append(make("bdi", "", message.author === "staff" ? message.staff_name || "客服" : "机器人"), make("span", "unseen", "："));
    stack.append(who);
  }
  const bubble = make("div", "bubble", "", { dir: "auto" });
  fillText(bubble, message.text);
  stack.append(bubble);
  if (message.created_at) {
    const meta = make("div", "meta");
    const date = new Date(message.created_at);
    meta.append(make("time", "", CLOCK.format(date), { datetime: message.created_at }));
    if (message.author === "customer") meta.append(make("span", "status", "已送达"));
    stack.append(meta);
  }
  row.append(stack);
  return row;
}

/** The label without the digit and stars that a rating button draws itself. */
function ratingLabel(option) {
  return option.label.replace(/^[\d\s.、:：]+|[\u2B50\u2605\u2606\uFE0F]/gu, "").replace(/^[\s星分]+/u, "").trim();
}

/** The buttons of a prompt; `onPress(option)` runs when one is pressed that is not yet used. */
export function buildOptions(prompt, onPress) {
  const rating = prompt.kind === "survey_rating";
  const group = make("div", rating ? "options rating" : "options", "", {
    role: "group",
    "aria-label": rating ? "请打分，1 到 5 星" : "可以这样回答",
  });
  for (const option of prompt.options) {
    const stars = rating && /^[1-5]$/.test(option.typed) ? Number(option.typed) : 0;
    const button = make("button", stars ? "star" : "option", "", { type: "button" });
    if (stars) {
      const label = ratingLabel(option);
      button.append(
        make("span", "digit", option.typed),
        make("span", "stars", "★".repeat(stars), { "aria-hidden": "true" }),
        make("span", "unseen", "星"),
      );
      if (label) button.append(make("span", "label", label));
    } else {
      const label = make("span", "label", option.label, { dir: "auto" });
      button.append(label);
      if (option.typed && option.typed !== option.label) button.append(make("kbd", "", option.typed));
    }
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") !== "true") onPress(option);
    });
    group.append(button);
  }
  return group;
}

/** Shows which option was chosen and whether the rest can still be pressed. */
export function markOptions(group, prompt, used, chosenId) {
  [...group.children].forEach((button, i) => {
    const chosen = prompt.options[i].button_id === chosenId;
    // Not the disabled attribute: it would throw the keyboard's focus back to the top of the page.
    button.setAttribute("aria-disabled", String(used));
    button.classList.toggle("chosen", chosen);
    if (chosen) button.setAttribute("aria-pressed", "true");
    else button.removeAttribute("aria-pressed");
  });
}

/** The row of a line that has not come back from the server yet. */
export function buildPendingRow(line, { onRetry, onEdit, onDrop }) {
  const row = buildRow({ author: "customer", text: line.text, created_at: line.created_at }, false);
  row.classList.add("sending", "enter");
  const actions = make("div", "actions");
  const buttons = [
    ["retry", "立即重试", onRetry],
    ["edit", "修改后再发", onEdit],
    ["drop", "删除", onDrop],
  ];
  for (const [name, label, onClick] of buttons) {
    const button = make("button", `bare ${name}`, label, { type: "button" });
    button.addEventListener("click", onClick);
    actions.append(button);
  }
  row.querySelector(".stack").append(actions);
  return row;
}

/** Shows how far a pending line has come. */
export function markPendingRow(row, line) {
  let status = "发送中";
  if (line.refused) status = line.refused;
  else if (line.delivered) status = "已送达";
  else if (line.failing) status = "未送达，正在重试";
  row.classList.toggle("trouble", Boolean(line.refused || line.failing));
  const text = row.querySelector(".status");
  if (text.textContent !== status) text.textContent = status;
  row.querySelector(".retry").hidden = !line.failing || Boolean(line.refused);
  for (const name of [".edit", ".drop"]) row.querySelector(name).hidden = !line.refused;
}
