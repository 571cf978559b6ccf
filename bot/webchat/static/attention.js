// What the customer has seen, told to the server; and what they have not, told to the customer.

import { Nap, backoff, post } from "./session.js";
import { store } from "./store.js";

const THROTTLE_MS = 1000;
const FLASH_MS = 1200;

export const embedded = window.parent !== window;

export class Attention {
  #session;
  #view;
  #title = document.title;
  #shown = true;
  #toldSeq = 0;
  #telling = false;
  #nap = new Nap();
  #unread = 0;
  #flash = null;

  constructor(session, view) {
    this.#session = session;
    this.#view = view;
    document.addEventListener("visibilitychange", () => this.update());
    // In the widget the page cannot know by itself whether its frame is open.
    window.addEventListener("message", (event) => {
      if (!embedded || event.source !== window.parent || event.data?.type !== "huiyin:shown") return;
      this.#shown = event.data.shown === true;
      // A touch screen's keyboard would cover half of what has just been opened.
      if (this.#shown && matchMedia("(pointer: fine)").matches) document.getElementById("box").focus();
      this.update();
    });
    if (embedded) {
      window.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && !event.isComposing) this.#tellParent({ type: "huiyin:close" });
      });
    }
  }

  set title(text) {
    this.#title = text;
    this.#drawTitle(false);
  }

  /** Forgets what was seen: it belonged to another conversation. */
  reset() {
    store.remove("seen");
    this.#toldSeq = 0;
  }

  /** Looks again at what is shown and who is looking. */
  update() {
    const looking = this.#shown && document.visibilityState === "visible";
    if (looking && this.#view.atBottom) {
      const seq = this.#view.shownSeq;
      if (seq > (store.get("seen") ?? 0)) store.set("seen", seq);
      this.#tellServer();
    }
    const unread = this.#view.countNewer(store.get("seen") ?? 0);
    if (unread !== this.#unread) this.#tellParent({ type: "huiyin:unread", count: unread });
    this.#unread = unread;
    this.#setFlash(unread > 0 && document.visibilityState === "hidden");
  }

  async #tellServer() {
    if (this.#telling) return;
    this.#telling = true;
    let attempt = 0;
    while (this.#view.shownSeq && Math.min(store.get("seen") ?? 0, this.#view.shownSeq) > this.#toldSeq) {
      await this.#nap.sleep(THROTTLE_MS);
      const seq = Math.min(store.get("seen") ?? 0, this.#view.shownSeq);
      const token = await this.#session.token();
      const answer = await post("seen", { seq }, token);
      if (answer.status === 401) this.#session.forget(token);
      if (answer.status >= 200 && answer.status < 300) {
        this.#toldSeq = seq;
        attempt = 0;
      } else {
        await this.#nap.sleep(backoff(attempt, answer.retryAfter));
        attempt += 1;
      }
    }
    this.#telling = false;
  }

  #tellParent(message) {
    // Any shop may embed the page and only a number leaves it, so no origin has to be named.
    if (embedded) window.parent.postMessage(message, "*");
  }

  #setFlash(on) {
    if (!on) {
      clearInterval(this.#flash);
      this.#flash = null;
      this.#drawTitle(false);
      return;
    }
    this.#drawTitle(true);
    if (this.#flash || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    let lit = true;
    this.#flash = setInterval(() => {
      lit = !lit;
      this.#drawTitle(lit);
    }, FLASH_MS);
  }

  #drawTitle(lit) {
    document.title = lit ? `【${this.#unread} 条新消息】${this.#title}` : this.#title;
  }
}
