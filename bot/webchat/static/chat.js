// The customer's chat page: puts the parts together.

import { Attention, embedded } from "./attention.js";
import { Composer } from "./composer.js";
import { make } from "./message.js";
import { Outbox } from "./outbox.js";
import { Session } from "./session.js";
import { store } from "./store.js";
import { Stream } from "./stream.js";
import { View } from "./view.js";

const PERSON = "转人工";
const SHORT_TALK = 2;
// A stream that is renewed at once is no news; only a longer cut is shown.
const OFFLINE_AFTER_MS = 2000;
const DOUBLE_PRESS_MS = 1200;

const $ = (id) => document.getElementById(id);

let speaker = "bot";
let quickChoice = null;
let offlineTimer = null;
let lastPress = { text: "", at: 0 };

/** Keeps the order link of the address until the server took it, and takes it out of sight. */
function keepOrderLink() {
  const token = new URLSearchParams(location.hash.slice(1)).get("order");
  if (!token) return false;
  store.set("order", token);
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

function notify(text) {
  $("notice-text").textContent = text;
  $("notice").hidden = false;
}

function showConnected(connected) {
  if (connected) {
    clearTimeout(offlineTimer);
    offlineTimer = null;
    $("offline").hidden = true;
  } else {
    // Every failed attempt comes by here; only the first starts the clock.
    offlineTimer ??= setTimeout(() => {
      $("offline").hidden = false;
    }, OFFLINE_AFTER_MS);
  }
}

function showSpeaker() {
  const name = view.staffName;
  let text = "机器人客服";
  if (speaker === "waiting") text = "正在为您接通客服…";
  else if (speaker === "person") text = name ? `客服 \u2068${name}\u2069 为您服务` : "客服为您服务";
  $("speaker").dataset.speaker = speaker;
  if ($("speaker-text").textContent !== text) $("speaker-text").textContent = text;
}

function showQuick() {
  const some = $("quick").childElementCount > 0;
  const open = some && (quickChoice ?? view.customerLines < SHORT_TALK);
  $("quick").hidden = !open;
  $("quick-toggle").hidden = !some;
  $("quick-toggle").setAttribute("aria-expanded", String(open));
}

function refresh() {
  // What another tab sent may have come back already; the stream has the last word.
  const lines = outbox.lines();
  for (const line of lines) if (view.has(line.id)) outbox.remove(line.id);
  view.showPending(lines.filter((line) => !view.has(line.id)));
  showSpeaker();
  showQuick();
  attention.update();
}

/** Sends what a button says; two quick taps count once. */
function press(text, extra) {
  const now = Date.now();
  if (lastPress.text === text && now - lastPress.at < DOUBLE_PRESS_MS) return;
  lastPress = { text, at: now };
  outbox.add(text, extra);
}

function takeBack(line) {
  if (line.prompt_seq) view.rememberPress(line.prompt_seq, null);
  outbox.remove(line.id);
  refresh();
}

const view = new View({
  press(option, seq) {
    view.rememberPress(seq, option.button_id);
    press(option.label, { button_id: option.button_id, prompt_seq: seq });
  },
  retry: hurry,
  edit(line) {
    takeBack(line);
    composer.takeBack(line.text);
  },
  drop: takeBack,
  looked: () => attention.update(),
});

keepOrderLink();

const session = new Session({
  onOpen(answer) {
    const before = store.get("conversation");
    store.set("conversation", answer.session);
    if (before && before !== answer.session) {
      // The server lost the talk that was shown here (an erased or restored database).
      store.remove("pressed");
      attention.reset();
      stream.restart();
      outbox.resendAll();
    }
    $("shop").textContent = answer.shop_name;
    attention.title = answer.shop_name;
    view.showOpening(answer.greeting, answer.consent_notice);
    if (answer.order_notice) notify(answer.order_notice);
    $("quick").replaceChildren(
      ...answer.quick_questions.map((question) => {
        const button = make("button", "option", question, { type: "button", dir: "auto" });
        button.addEventListener("click", () => {
          quickChoice = null;
          press(question);
        });
        return button;
      }),
    );
    showQuick();
  },
  onTrouble(badOrder) {
    if (badOrder) notify("这个订单链接已失效，您仍然可以直接提问");
    else showConnected(false);
  },
});

const outbox = new Outbox(session, refresh);
const attention = new Attention(session, view);
const composer = new Composer((text) => outbox.add(text));
const stream = new Stream(session, {
  message: (message) => view.add(message, refresh),
  state(state) {
    ({ speaker } = state);
    showSpeaker();
  },
  typing({ name }) {
    view.showTyping(speaker === "person" ? "staff" : "bot", name);
  },
  connected: showConnected,
  restart: () => view.clear(),
  isKnown: (message) => view.isKnown(message),
});

function hurry() {
  session.hurry();
  outbox.hurry();
  stream.hurry();
}

$("person").addEventListener("click", () => press(PERSON));
$("quick-toggle").addEventListener("click", () => {
  quickChoice = $("quick").hidden;
  showQuick();
});
$("notice-close").addEventListener("click", () => {
  $("notice").hidden = true;
  $("box").focus();
});
window.addEventListener("online", hurry);
window.addEventListener("offline", () => showConnected(false));
window.addEventListener("pageshow", (event) => event.persisted && hurry());
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && hurry());
// A second order link opened in this tab changes the fragment only.
window.addEventListener("hashchange", () => keepOrderLink() && session.reopen());
store.onOtherTab((name) => ["seen", "pressed", null].includes(name) && refresh());

// Safari lays the keyboard over the page instead of making the page smaller.
window.visualViewport?.addEventListener("resize", () => {
  const { height, scale } = window.visualViewport;
  if (Math.abs(scale - 1) < 0.01) document.documentElement.style.setProperty("--height", `${height}px`);
});

document.documentElement.classList.toggle("embedded", embedded && new URLSearchParams(location.search).has("widget"));
refresh();
outbox.resume();
stream.run();
