// What staff hear live: cases that wait, new lines, and the loss of the connection itself.
"use strict";

(() => {
  const { words, refresh } = Huiyin;
  const notices = document.getElementById("notices");
  const button = document.getElementById("sound");
  let audio = null;
  let lastBeep = 0;

  // --- Sound: browsers want one click first ---------------------------------------------------------

  function showSound() {
    const on = audio !== null && audio.state === "running";
    button.hidden = false;
    button.setAttribute("aria-pressed", String(on));
    if (on) button.querySelector("span").textContent = words.soundOn;
  }

  async function turnOn() {
    audio = audio || new AudioContext();
    await audio.resume();
    localStorage.setItem("sound", "on");
    showSound();
  }

  function beep() {
    if (audio === null || audio.state !== "running" || Date.now() - lastBeep < 1500) return;
    lastBeep = Date.now();
    [660, 880].forEach((pitch, at) => {
      const tone = audio.createOscillator();
      const loudness = audio.createGain();
      const start = audio.currentTime + at * 0.18;
      tone.frequency.value = pitch;
      loudness.gain.setValueAtTime(0.0001, start);
      loudness.gain.exponentialRampToValueAtTime(0.25, start + 0.02);
      loudness.gain.exponentialRampToValueAtTime(0.0001, start + 0.16);
      tone.connect(loudness).connect(audio.destination);
      tone.start(start);
      tone.stop(start + 0.18);
    });
  }

  if (window.AudioContext) {
    button.addEventListener("click", () => turnOn().then(() => ((lastBeep = 0), beep())));
    if (localStorage.getItem("sound") === "on") {
      audio = new AudioContext();
      audio.onstatechange = showSound;
      for (const kind of ["pointerdown", "keydown"])
        document.addEventListener(kind, () => audio.resume(), { once: true });
    }
    showSound();
  }

  // --- Notices ---------------------------------------------------------------------------------------

  function notice(id, text, link, linkText, calm) {
    document.getElementById(id)?.remove();
    const box = document.createElement("div");
    box.id = id;
    box.className = calm ? "notice calm" : "notice";
    const line = document.createElement("span");
    line.textContent = text;
    box.append(line);
    if (link) {
      const to = document.createElement("a");
      to.className = "button small";
      to.href = link;
      to.textContent = linkText;
      box.append(to);
    }
    notices.append(box);
    while (notices.childElementCount > 3) notices.firstElementChild.remove();
  }

  const drop = (id) => document.getElementById(id)?.remove();
  // Only what reads like a case number becomes part of an address.
  const isNumber = (text) => /^HY-\d{1,18}$/.test(text || "");

  function fill(pattern, values) {
    return pattern.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }

  // --- Events ----------------------------------------------------------------------------------------

  const MEMORY = "desk-event";
  function remembered() {
    // A page change must not lose what happened in between; an id from this morning must not replay the day.
    const [id, at] = (sessionStorage.getItem(MEMORY) || "").split(":");
    return id && Date.now() - Number(at) < 120000 ? id : "";
  }
  function remember(event) {
    if (event.lastEventId) sessionStorage.setItem(MEMORY, `${event.lastEventId}:${Date.now()}`);
  }

  let planned = 0;
  function soon() {
    if (planned) return;
    planned = setTimeout(() => {
      planned = 0;
      refresh().catch(() => {});
    }, 250);
  }

  function read(event) {
    try {
      return JSON.parse(event.data);
    } catch {
      return {};
    }
  }

  function connect() {
    const after = remembered();
    const source = new EventSource(`/console/events${after ? `?after=${after}` : ""}`);
    source.addEventListener("hello", (event) => {
      remember(event);
      if (document.getElementById("notice-lost")) soon();
      drop("notice-lost");
    });
    source.addEventListener("case_alert", (event) => {
      remember(event);
      const found = read(event);
      if (!isNumber(found.number)) return;
      const reason = words[`reason-${found.reason}`.replace(/[-_](\w)/g, (_, c) => c.toUpperCase())];
      const values = { ...found, reason: reason || "", customer: found.customer || words.guest, rung: Number(found.rung) };
      const text = fill(values.rung > 0 ? words.caseAgain : words.case, values);
      notice(`notice-${found.number}`, text, `/console/cases/${found.number}`, words.open);
      beep();
      soon();
    });
    for (const kind of ["case_taken", "case_closed"])
      source.addEventListener(kind, (event) => {
        remember(event);
        drop(`notice-${read(event).number}`);
        soon();
      });
    source.addEventListener("case_handed_over", (event) => {
      remember(event);
      const found = read(event);
      drop(`notice-${found.number}`);
      soon();
      // Who looks at the case already sees it change; everybody else to whom it came must hear of it.
      if (!found.yours || !isNumber(found.number) || location.pathname.endsWith(`/${found.number}`)) return;
      notice(`notice-${found.number}`, fill(words.handed, found), `/console/cases/${found.number}`, words.open);
      beep();
    });
    for (const kind of ["case_opened", "message", "message_edited", "delivery", "reachable", "case_noted", "feedback"])
      source.addEventListener(kind, (event) => {
        remember(event);
        soon();
      });
    const signedOut = () => {
      source.close();
      beep();
      notice("notice-out", words.signedOut, "/console/login", words.login);
    };
    source.addEventListener("signed_out", signedOut);
    source.onerror = () => {
      if (source.readyState === EventSource.CONNECTING) {
        notice("notice-lost", words.lost, "", "", true);
        return;
      }
      // Closed for good: either signed out, or the server answers with errors just now.
      fetch("/console/alive", { headers: { Accept: "application/json", "X-Huiyin-Live": "1" } })
        .then((answer) => {
          if (answer.status === 401) signedOut();
          else throw new Error("not yet");
        })
        .catch(() => {
          notice("notice-lost", words.lost, "", "", true);
          setTimeout(connect, 5000);
        });
    };
    window.addEventListener("pagehide", () => source.close(), { once: true });
  }
  connect();
  window.addEventListener("pageshow", (event) => event.persisted && connect());
})();
