// What pages do beyond plain forms: keep drafts, send once, stay in place. Without it everything still works.
"use strict";

const Huiyin = (() => {
  const words = document.body.dataset;

  // The response becomes a document by XMLHttpRequest, which runs nothing in it and needs no innerHTML.
  function fetchPage(url) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("GET", url);
      request.responseType = "document";
      request.timeout = 15000;
      // Tells the server that no person asked, so that it does not count as use of the session.
      request.setRequestHeader("X-Huiyin-Live", "1");
      request.onload = () =>
        request.status === 200 && request.response && new URL(request.responseURL).pathname === location.pathname
          ? resolve(request.response)
          : reject(new Error(String(request.status)));
      request.onerror = request.ontimeout = () => reject(new Error("network"));
      request.send();
    });
  }

  function atBottom(element) {
    return element.scrollHeight - element.scrollTop - element.clientHeight < 60;
  }

  function selectedIn(element) {
    const selection = getSelection();
    return selection !== null && !selection.isCollapsed && element.contains(selection.anchorNode);
  }

  // What has the focus in the old part, in the new one: a picture that was opened must not stop the talk.
  function twinOf(active, old, fresh) {
    if (active === old) return fresh;
    if (active.tagName === "SUMMARY" && active.parentElement.id)
      return fresh.querySelector(`#${CSS.escape(active.parentElement.id)} > summary`);
    const to = active.getAttribute("href");
    return to ? fresh.querySelector(`a[href="${CSS.escape(to)}"]`) : null;
  }

  // Puts the fresh parts of this page in the place of the old ones; what somebody types is in none of them.
  async function refresh() {
    const parts = [...document.querySelectorAll("[data-live]")];
    if (!parts.length) return;
    const page = await fetchPage(location.pathname + location.search);
    for (const old of parts) {
      const fresh = page.getElementById(old.id);
      const active = old.contains(document.activeElement) ? document.activeElement : null;
      if (!fresh || active?.matches("input, textarea, select, button") || selectedIn(old)) continue;
      const follow = old.hasAttribute("data-follow") && atBottom(old);
      const kept = old.scrollTop;
      const open = new Set([...old.querySelectorAll("details[open]")].map((each) => each.id));
      const adopted = document.adoptNode(fresh);
      for (const each of adopted.querySelectorAll("details")) if (open.has(each.id)) each.open = true;
      // A picture that somebody opened stays the same element: fetching it again would be another look.
      for (const each of adopted.querySelectorAll("img[id]")) {
        const before = document.getElementById(each.id);
        if (before && before.complete && before.naturalWidth) each.replaceWith(before);
      }
      old.replaceWith(adopted);
      if (active) twinOf(active, old, adopted)?.focus({ preventScroll: true });
      adopted.scrollTop = follow ? adopted.scrollHeight : kept;
    }
    const badge = document.getElementById("badge");
    const fresh = page.getElementById("badge");
    if (badge && fresh) setBadge(fresh.textContent);
  }

  function setBadge(text) {
    const badge = document.getElementById("badge");
    if (!badge) return;
    badge.textContent = text;
    badge.hidden = !text || text === "0";
    document.title = document.title.replace(/^\(\d+\) /, "");
    if (!badge.hidden) document.title = `(${text}) ${document.title}`;
  }

  // crypto.randomUUID is missing on plain HTTP, getRandomValues is everywhere.
  function newId() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("");
  }

  function say(form, text, bad) {
    const place = form.querySelector("[data-say]");
    if (!place) return;
    place.textContent = text;
    place.classList.toggle("bad", Boolean(bad));
  }

  async function post(form) {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(new FormData(form)),
      credentials: "same-origin",
      redirect: "error",
    });
    const body = await answer.json().catch(() => ({}));
    return { ok: answer.ok, status: answer.status, reason: (body.detail && body.detail.reason) || "", body };
  }

  // --- The reply form: a draft on this device, and an id that makes sending twice harmless ------------

  function replyForm(form) {
    const text = form.querySelector("textarea");
    const id = form.querySelector("[name=client_msg_id]");
    const button = form.querySelector("button[type=submit]");
    const key = `draft:${words.staff}:${form.dataset.reply}`;
    let lastTyping = 0;
    let busy = false;

    function remember() {
      try {
        if (text.value) localStorage.setItem(key, JSON.stringify({ text: text.value, id: id.value }));
        else localStorage.removeItem(key);
      } catch {
        // A full or forbidden store costs the draft, not the reply.
      }
    }

    function grow() {
      text.style.height = "auto";
      text.style.height = `${Math.min(text.scrollHeight + 2, 260)}px`;
    }

    try {
      const draft = JSON.parse(localStorage.getItem(key) || "null");
      if (draft && !text.value) {
        text.value = draft.text;
        // The id comes back too: if it was sent and only the answer was lost, it is not sent again.
        id.value = draft.id || id.value;
        say(form, words.draft);
      }
    } catch {
      // An unreadable draft is no draft.
    }
    grow();

    text.addEventListener("input", () => {
      remember();
      grow();
      say(form, "");
      if (form.dataset.typing && Date.now() - lastTyping > 4000) {
        lastTyping = Date.now();
        const body = new URLSearchParams({ csrf: form.querySelector("[name=csrf]").value });
        fetch(form.dataset.typing, { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => {});
      }
    });
    text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (busy || !text.value.trim()) return;
      busy = button.disabled = true;
      const sentText = text.value;
      remember();
      say(form, words.sending);
      try {
        const answer = await post(form);
        if (answer.ok) {
          if (text.value === sentText) text.value = "";
          id.value = newId();
          say(form, words.sent);
        } else {
          // This id belongs to other words by now; what is typed here is a line of its own.
          if (answer.status === 409) id.value = newId();
          say(form, answer.reason || words.notSent, true);
        }
        remember();
        grow();
        await refresh();
        if (answer.ok && form.dataset.reload !== undefined) location.reload();
      } catch {
        say(form, words.notSent, true);
      } finally {
        busy = button.disabled = false;
        text.focus();
      }
    });
  }

  for (const form of document.querySelectorAll("form[data-reply]")) replyForm(form);

  // The number appears in place; without a script a page shows it.
  for (const form of document.querySelectorAll("form[data-reveal]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const answer = await post(form);
        if (!answer.ok) return;
        const number = document.createElement("bdi");
        number.textContent = answer.body.phone;
        document.getElementById("phone").replaceChildren(number);
        form.remove();
      } catch {
        form.querySelector("button").disabled = false;
      }
    });
  }

  // Other forms go the plain way, but only once.
  for (const form of document.querySelectorAll("form:not([data-reply]):not([data-reveal])")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sure && !confirm(form.dataset.sure)) {
        event.preventDefault();
        return;
      }
      if (form.dataset.clears !== undefined)
        for (const key of Object.keys(localStorage)) if (key.startsWith("draft:")) localStorage.removeItem(key);
      for (const button of form.querySelectorAll("button[type=submit]")) button.disabled = true;
    });
  }
  // A page that comes out of the back-forward cache has its buttons again, and shows what is new.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
    refresh().catch(() => {});
  });

  for (const talk of document.querySelectorAll("[data-follow]")) talk.scrollTop = talk.scrollHeight;
  for (const select of document.querySelectorAll("select[data-submits]"))
    select.addEventListener("change", () => select.form.requestSubmit());

  // Sending ends without an event of its own, and waiting times grow: both are looked at again.
  let looked = Date.now();
  setInterval(() => {
    if (document.hidden) return;
    const pending = document.querySelector(".state-queued, .state-sending");
    if (Date.now() - looked < (pending ? 3000 : 60000)) return;
    looked = Date.now();
    refresh().catch(() => {});
  }, 1000);

  // A long answer must not outlast the session: while somebody works here, the server is told now and then.
  let lastAlive = Date.now();
  for (const kind of ["keydown", "pointerdown"])
    document.addEventListener(kind, () => {
      if (Date.now() - lastAlive < 240000) return;
      lastAlive = Date.now();
      fetch("/console/alive", { headers: { Accept: "application/json" } }).catch(() => {});
    });

  return { refresh, setBadge, words };
})();
