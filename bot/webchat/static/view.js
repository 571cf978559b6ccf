// The list of messages: what is drawn, in which order, and where it is scrolled to.

import {
  buildDay,
  buildOptions,
  buildPendingRow,
  buildRow,
  fillText,
  make,
  markOptions,
  markPendingRow,
  renameDays,
  sameDay,
  sameGroup,
  setAvatar,
} from "./message.js";
import { store } from "./store.js";

const PAGE = 120;
const NEAR_BOTTOM_PX = 60;
// After this long without a further message the history is taken to be complete.
const SETTLED_MS = 400;
const TYPING_MS = 5000;
const REMEMBERED_PRESSES = 50;

const $ = (id) => document.getElementById(id);

export class View {
  #messages = [];
  #bySeq = new Map();
  #ids = new Set();
  #prompts = [];
  #waiting = [];
  #staffName = "";
  #from = 0;
  #settled = false;
  #settleTimer = null;
  #typingTimer = null;
  #pending = new Map();
  #pendingLines = [];
  #atBottom = true;
  #on;

  /** `on` has `press(option, seq)`, `retry()`, `edit(line)`, `drop(line)` and `looked()`. */
  constructor(on) {
    this.#on = on;
    const scroll = $("scroll");
    scroll.addEventListener("scroll", () => {
      const was = this.#atBottom;
      this.#atBottom = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_BOTTOM_PX;
      if (this.#atBottom) $("pill").hidden = true;
      if (this.#atBottom && !was) this.#on.looked();
    }, { passive: true });
    $("pill").addEventListener("click", () => {
      this.toBottom();
      $("box").focus({ preventScroll: true });
    });
    $("earlier").addEventListener("click", () => this.#showEarlier());
    // The keyboard, the quick questions or a growing box take height; the newest line stays in sight.
    const sizes = new ResizeObserver(() => this.#stick());
    sizes.observe(scroll);
    sizes.observe(scroll.firstElementChild);
  }

  get atBottom() {
    return this.#atBottom;
  }

  /** The highest number shown, 0 when there is none. */
  get shownSeq() {
    return this.#messages.at(-1)?.seq ?? 0;
  }

  /** How many messages newer than `seq` are not the customer's own. */
  countNewer(seq) {
    let count = 0;
    for (let i = this.#messages.length - 1; i >= 0 && this.#messages[i].seq > seq; i -= 1) {
      if (this.#messages[i].author !== "customer") count += 1;
    }
    return count;
  }

  get customerLines() {
    return this.#messages.filter((message) => message.author === "customer").length + this.#pending.size;
  }

  get staffName() {
    return this.#staffName;
  }

  has(clientMsgId) {
    return this.#ids.has(clientMsgId);
  }

  isKnown(message) {
    const shown = this.#bySeq.get(message.seq);
    return Boolean(shown) && shown.author === message.author && shown.text === message.text;
  }

  /** Shows what stands above the first message. */
  showOpening(greeting, consentNotice) {
    const parts = [];
    if (greeting) parts.push(buildRow({ author: "bot", text: greeting }, false));
    if (consentNotice) {
      const note = make("p", "consent", "", { dir: "auto" });
      fillText(note, consentNotice);
      parts.push(note);
    }
    $("opening").replaceChildren(...parts);
  }

  /** Takes a message in; `flushed` runs after it and its neighbours have been drawn. */
  add(message, flushed) {
    this.#bySeq.set(message.seq, message);
    // A timer and not an animation frame: hidden tabs draw no frames but must count what comes.
    if (this.#waiting.push(message) === 1) {
      setTimeout(() => {
        this.#flush();
        flushed();
      });
    }
  }

  /** Forgets all messages. */
  clear() {
    this.#messages = [];
    this.#waiting = [];
    this.#bySeq.clear();
    this.#ids.clear();
    this.#settled = false;
    this.#draw(0);
  }

  /** Shows the outbox below the messages. */
  showPending(lines) {
    const ids = new Set(lines.map((line) => line.id));
    for (const [id, row] of this.#pending) {
      if (ids.has(id)) continue;
      // Removing the focused button would throw the keyboard back to the top of the page.
      if (row.contains(document.activeElement)) $("scroll").focus({ preventScroll: true });
      row.remove();
      this.#pending.delete(id);
    }
    let grew = false;
    for (const line of lines) {
      let row = this.#pending.get(line.id);
      if (!row) {
        row = buildPendingRow(line, {
          onRetry: () => this.#on.retry(),
          onEdit: () => this.#on.edit(line),
          onDrop: () => this.#on.drop(line),
        });
        this.#pending.set(line.id, row);
        grew = true;
      }
      markPendingRow(row, line);
    }
    // Moving a row would restart its entrance, so only what is out of order is put in anew.
    [...this.#pending.values()].forEach((row, i) => {
      if ($("pending").children[i] !== row) $("pending").insertBefore(row, $("pending").children[i] ?? null);
    });
    this.#pendingLines = lines.filter((line) => !line.refused);
    this.#markPrompts();
    this.#markLatest();
    if (grew) this.toBottom();
  }

  /** Shows for a while that someone is writing; `author` and `name` say who. */
  showTyping(author, name) {
    clearTimeout(this.#typingTimer);
    const row = $("typing");
    row.className = `row ${author} typing`;
    setAvatar(row.querySelector(".avatar"), author, name);
    $("typing-text").textContent = name ? `${name} 正在输入` : "正在输入";
    row.hidden = false;
    this.#stick();
    this.#typingTimer = setTimeout(() => this.hideTyping(), TYPING_MS);
  }

  hideTyping() {
    clearTimeout(this.#typingTimer);
    $("typing").hidden = true;
  }

  /** Remembers that a button of the prompt `seq` was pressed; null takes it back. */
  rememberPress(seq, buttonId) {
    const presses = Object.entries(store.get("pressed") ?? {}).filter(([key]) => Number(key) !== seq);
    if (buttonId) presses.push([seq, buttonId]);
    store.set("pressed", Object.fromEntries(presses.slice(-REMEMBERED_PRESSES)));
  }

  toBottom() {
    this.#atBottom = true;
    $("pill").hidden = true;
    this.#stick();
    this.#on.looked();
  }

  #stick() {
    if (this.#atBottom) $("scroll").scrollTop = $("scroll").scrollHeight;
  }

  #flush() {
    const fresh = this.#waiting;
    this.#waiting = [];
    if (!fresh.length) return;
    const first = this.#messages.length;
    this.#messages.push(...fresh);
    // Known only once drawn: the pending line leaves in the same moment as its message appears.
    for (const message of fresh) {
      if (message.author === "customer") this.#ids.add(message.client_msg_id);
      if (message.author === "staff") this.#staffName = message.staff_name || "";
    }
    if (fresh.some((message) => message.author !== "customer")) this.hideTyping();
    if (this.#settled) {
      $("log").append(this.#build(first, true));
      renameDays($("log"));
    } else {
      // A long history comes in many pieces; only its end is drawn until it is complete.
      this.#draw(Math.max(0, this.#messages.length - PAGE));
    }
    clearTimeout(this.#settleTimer);
    this.#settleTimer = setTimeout(() => this.settle(), SETTLED_MS);
    this.#markPrompts();
    this.#markLatest();
    if (this.#settled && !this.#atBottom && fresh.some((message) => message.author !== "customer")) {
      $("pill").hidden = false;
    }
    this.#stick();
  }

  /** From here on new messages are read out and slide in; before, it was history. */
  settle() {
    this.#settled = true;
    $("log").setAttribute("aria-live", "polite");
  }

  #draw(from) {
    $("log").setAttribute("aria-live", "off");
    this.#from = from;
    this.#prompts = [];
    $("log").replaceChildren(this.#build(from, false));
    $("earlier").hidden = from === 0;
    $("opening").hidden = from > 0;
  }

  #build(from, entering) {
    const part = document.createDocumentFragment();
    for (let i = from; i < this.#messages.length; i += 1) {
      const message = this.#messages[i];
      const previous = i > this.#from ? this.#messages[i - 1] : null;
      if (!previous || !sameDay(previous.created_at, message.created_at)) part.append(buildDay(message.created_at));
      const grouped = Boolean(previous) && sameGroup(previous, message);
      const row = buildRow(message, grouped);
      if (grouped) (part.lastElementChild ?? $("log").lastElementChild)?.classList.add("continued");
      if (message.prompt?.options?.length) {
        const group = buildOptions(message.prompt, (option) => this.#on.press(option, message.seq));
        row.querySelector(".bubble, p").after(group);
        this.#prompts.push({ message, group });
      }
      // A line of one's own was there already, as a pending one; it only changes place.
      if (entering && message.author !== "customer") row.classList.add("enter");
      part.append(row);
    }
    return part;
  }

  #showEarlier() {
    const scroll = $("scroll");
    const below = scroll.scrollHeight - scroll.scrollTop;
    const wasSettled = this.#settled;
    this.#draw(Math.max(0, this.#from - PAGE));
    this.#markPrompts();
    this.#markLatest();
    scroll.scrollTop = scroll.scrollHeight - below;
    scroll.focus({ preventScroll: true });
    if (wasSettled) setTimeout(() => this.settle());
  }

  #markPrompts() {
    const pressed = store.get("pressed") ?? {};
    for (const { message, group } of this.#prompts) {
      const { prompt, seq } = message;
      const answer =
        this.#messages.find((other) => other.seq > seq && other.author === "customer") ?? this.#pendingLines[0];
      const said = answer?.text.trim();
      const chosen =
        pressed[seq] ??
        prompt.options.find((option) => said !== undefined && (option.label === said || option.typed === said))?.button_id;
      markOptions(group, prompt, Boolean(prompt.kind === "survey_rating" ? chosen : chosen || answer), chosen);
    }
  }

  #markLatest() {
    for (const row of $("log").querySelectorAll(".latest")) row.classList.remove("latest");
    // 已送达 stands once, under the newest line, and not while a newer one is on its way.
    const rows = $("log").querySelectorAll(".row.customer");
    if (!this.#pending.size) rows[rows.length - 1]?.classList.add("latest");
  }
}
