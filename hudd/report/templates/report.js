"use strict";
(() => {
  const $ = (query, root = document) => root.querySelector(query);
  const $$ = (query, root = document) => [...root.querySelectorAll(query)];
{% include "say.js" %}
  const body = document.body, root = document.documentElement, box = $("#box");
  const clusters = $$(".cluster");
  let shots = [], at = 0;

  // What the reader has set outlives a reload, where the browser allows a file to remember.
  const memory = {
    get: (key) => { try { return localStorage.getItem("hudd-" + key); } catch { return null; } },
    set: (key, value) => { try { localStorage.setItem("hudd-" + key, value); } catch { /* a file without storage */ } },
  };

  const theme = (value) => { root.dataset.theme = value; memory.set("theme", value); };
  if (["light", "dark"].includes(memory.get("theme"))) theme(memory.get("theme"));
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

  const press = (name) => {
    const on = body.classList.toggle(name);
    $$(`[data-do="${name}"]`).forEach((button) => button.setAttribute("aria-pressed", on));
  };
  const opacity = (percent) => {
    const value = Math.max(0, Math.min(100, percent));
    $("#opacity").value = value;
    body.style.setProperty("--opacity", value / 100);
  };
  const layer = (index) => {
    const select = $("#layer");
    if (!select) return;
    select.value = String(index % select.options.length);
    body.dataset.layer = select.value;
  };

  // One cluster after the other, from the one in view.
  const go = (step) => {
    const seen = clusters.filter((cluster) => !cluster.hidden);
    const top = 140;
    let here = seen.findIndex((cluster) => cluster.getBoundingClientRect().bottom > top);
    if (here < 0) here = seen.length - 1;
    const ahead = seen[here] && seen[here].getBoundingClientRect().top > top;
    const next = seen[Math.max(0, Math.min(seen.length - 1, here + (step > 0 && ahead ? 0 : step)))];
    if (next) { next.scrollIntoView(); next.focus({ preventScroll: true }); }
  };

  // Names, rules, notes, classes and files are searched, not the figures next to them. Of a cluster, those images are shown
  // whose classes or file have the words; where there are none, and its name, rule or note has them, all of it.
  const has = (words, parts) => parts.some((part) => (part.matches("input, textarea") ? part.value : part.textContent).toLowerCase().includes(words));
  const about = (cluster) => $$("h3, .rule q, .note, .review input, .review textarea", cluster);
  const told = (one) => one.matches(".card") ? $$(".path, .answer > :not(i)", one) : [one];
  const find = (words) => {
    const wanted = words.trim().toLowerCase();
    let any = 0;
    clusters.forEach((cluster) => {
      const rest = $(".rest", cluster), images = $$(".card, .rest li", cluster), found = images.filter((one) => has(wanted, told(one)));
      const whole = !found.length && has(wanted, about(cluster)), shown = new Set(whole ? images : found);
      images.forEach((one) => { one.hidden = !shown.has(one); });
      if (rest) { rest.hidden = !$("li:not([hidden])", rest); rest.open = wanted && !whole && !rest.hidden; }
      const some = shown.size;
      cluster.hidden = !some;
      $(`.side a[href="#${cluster.id}"]`).parentElement.hidden = !some;
      any += some;
    });
    $("#nothing").hidden = any;
  };
  const findCause = (words) => {
    const wanted = words.trim().toLowerCase(), causes = $$(".cause");
    causes.forEach((cause) => {
      const own = $$("details a", cause).map((link) => $(link.getAttribute("href")));
      const images = () => own.some((cluster) => has(wanted, [...about(cluster), ...$$(".gallery:not(.tiny-row) .card, .rest li", cluster).flatMap(told)]));
      cause.hidden = !(has(wanted, $$("h3, .rule q", cause)) || images());
      $(`.side a[href="#${cause.id}"]`).parentElement.hidden = cause.hidden;
    });
    $("#no-cause").hidden = causes.some((cause) => !cause.hidden);
  };

  const show = (index) => {
    at = (index + shots.length) % shots.length;
    const card = shots[at].closest(".card");
    $(".stage").replaceChildren(...[...shots[at].children].map((image) => { const copy = image.cloneNode(); copy.loading = "eager"; return copy; }));
    $(".about").replaceChildren(...[...$(".text", card).children].map((part) => part.cloneNode(true)));
    $(".where").textContent = say("{number} of {count}", { number: at + 1, count: shots.length });
  };
  const open = (shot) => {
    shots = $$(".card:not([hidden]) .shot", shot.closest(".gallery"));
    show(shots.indexOf(shot));
    if (!box.open) box.showModal();
  };
  box.addEventListener("close", () => { if (shots[at]) shots[at].focus(); });
  $$("dialog").forEach((dialog) => dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); }));

  const acts = {
    heat: () => press("heat"),
    grey: () => press("grey"),
    theme: () => theme(dark() ? "light" : "dark"),
    print: () => window.print(),
    help: () => $("#keys").showModal(),
    previous: () => show(at - 1),
    next: () => show(at + 1),
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]"), shot = event.target.closest(".shot");
    if (button) acts[button.dataset.do]();
    else if (shot) open(shot);
  });
  $("#opacity").addEventListener("input", (event) => opacity(+event.target.value));
  $("#find").addEventListener("input", (event) => find(event.target.value));
  $("#find-cause").addEventListener("input", (event) => findCause(event.target.value));
  if ($("#layer")) $("#layer").addEventListener("change", (event) => layer(+event.target.value));

  const keys = {
    j: () => go(1), k: () => go(-1), h: acts.heat, g: acts.grey, t: acts.theme, "?": acts.help,
    l: () => layer(+body.dataset.layer + 1),
    "+": () => opacity(+$("#opacity").value + 10), "=": () => opacity(+$("#opacity").value + 10),
    "-": () => opacity(+$("#opacity").value - 10),
    "/": () => $("#find").focus(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, textarea")) { if (event.key === "Escape") event.target.blur(); return; }
    if (box.open && event.key === "ArrowRight") acts.next();
    else if (box.open && event.key === "ArrowLeft") acts.previous();
    else if (keys[event.key] && !(box.open && "jk/".includes(event.key))) { event.preventDefault(); keys[event.key](); }
  });

{% include "tables.js" %}
{% include "pager.js" %}
{% include "map.js" %}

  // A served report saves what is written in it, a moment after the last key, and what it takes the place of.
  const served = $('meta[name="hudd-revision"]'), state = $(".saved");
  if (served) {
{% include "send.js" %}
    const revision = served.content, fields = ["name", "note"];
    const tell = (text, bad = false) => { state.textContent = text; state.classList.toggle("bad", bad); };
    const waiting = new Map(), known = new Map();
    const learn = (form, field, text) => { // until then nobody can write over what others have written
      const input = form.elements[field];
      input.value = text;
      input.readOnly = false;
      known.get(form)[field] = { text, shown: input.value };
    };
    const write = async (form) => {
      clearTimeout(waiting.get(form));
      waiting.delete(form);
      try {
        if (!known.has(form)) throw new Error(say("the server has gone"));
        const there = known.get(form), changed = fields.filter((field) => form.elements[field].value !== there[field].shown);
        const pick = (text) => Object.fromEntries(changed.map((field) => [field, text(field)]));
        const texts = pick((field) => form.elements[field].value);
        if (changed.length) await send(`/notes/${form.dataset.cluster}`, "PUT", { ...texts, was: pick((field) => there[field].text), revision });
        changed.forEach((field) => { there[field] = { text: texts[field], shown: texts[field] }; });
        tell(waiting.size ? say("saving …") : say("saved"));
      } catch (error) {
        // Who has read what others wrote may write over it.
        fields.filter((field) => error.now && field in error.now).forEach((field) => { known.get(form)[field].text = error.now[field]; });
        tell(say("not saved: {reason}", { reason: error.message }), true);
      }
    };
    let last = send(`/notes?revision=${revision}`).then(({ clusters: notes }) => $$(".review").forEach((form) => {
      known.set(form, {});
      fields.forEach((field) => learn(form, field, notes[form.dataset.cluster][field]));
    })).catch((error) => { if (error.now) location.reload(); else tell(say("the server has gone"), true); });
    const save = (form) => { last = last.then(() => write(form)); return last; };
    $$(".review").forEach((form) => {
      form.addEventListener("submit", (event) => { event.preventDefault(); save(form); });
      form.addEventListener("input", () => { tell(say("saving …")); clearTimeout(waiting.get(form)); waiting.set(form, setTimeout(save, 400, form)); });
    });
    // Decisions about causes; what a page has not shown is not replaced.
    const conditions = $$(".decision"), decided = new Map();
    const show = (form, found) => {
      decided.set(form, found);
      form.elements.decision.value = found ? found.decision : "";
      form.elements.reviewer.value = found ? found.reviewer : form.elements.reviewer.value;
      $(".date", form).textContent = found ? found.date : "";
      [...form.elements].forEach((element) => { element.disabled = false; });
    };
    if (conditions.length) send("/decisions").then((found) => conditions.forEach((form) => show(form, found[form.dataset.condition] || null))).catch(() => tell(say("the server has gone"), true));
    conditions.forEach((form) => form.addEventListener("submit", async (event) => {
      event.preventDefault();
      tell(say("saving …"));
      try {
        const { decision, reviewer } = form.elements;
        show(form, await send(`/decisions/${form.dataset.condition}`, "PUT", { decision: decision.value, reviewer: reviewer.value, was: decided.get(form) }));
        tell(say("saved"));
      } catch (error) {
        if (error.now) show(form, error.now.decision);
        tell(say("not saved: {reason}", { reason: error.message }), true);
      }
    }));
    // A merge or split changes sizes, risks and rules: the page is read again, at the same cluster. So it is where others
    // have merged or split what it shows.
    const told = sessionStorage.getItem("hudd-told");
    if (told) { sessionStorage.removeItem("hudd-told"); tell(told, true); }
    const edit = async (name, content, there) => {
      try {
        tell(say("saving …"));
        await Promise.all([...waiting.keys()].map(save));
        await send(`/clusters/${name}`, "POST", { ...content, revision });
        tell(say("reading the page again …"));
        if (there) history.replaceState(null, "", `#cluster-${there}`);
        location.reload();
      } catch (error) {
        const told = say("not done: {reason}", { reason: error.message });
        tell(told, true);
        if (error.now) { sessionStorage.setItem("hudd-told", told); location.reload(); }
      }
    };
    // The clusters chosen in the table, the largest first: the others are merged into it.
    const chosen = () => $$("[data-choose]:checked").sort((a, b) => b.dataset.size - a.dataset.size).map((box) => +box.dataset.choose);
    const together = $("[data-edit=merge-chosen]"), offer = () => {
      const [into, ...other] = chosen();
      together.disabled = !other.length;
      together.textContent = other.length ? say("Merge {numbers} into {into}", { numbers: other.join(", "), into }) : say("Merge the chosen clusters");
    };
    offer(); // a browser may keep what was chosen before the page was read again
    document.addEventListener("change", (event) => {
      if (event.target.matches("[data-choose]")) offer();
      if (event.target.matches("[data-merge]")) $("[data-edit=merge]", event.target.closest(".edit")).disabled = !event.target.value;
    });
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-edit]");
      if (!button) return;
      if (button.dataset.edit === "merge-chosen") { const [into, ...other] = chosen(); edit("merge", { into, other }, into); return; }
      const form = button.closest(".edit"), cluster = form && +form.dataset.cluster;
      if (button.dataset.edit === "merge") edit("merge", { into: cluster, other: +$("[data-merge]", form).value }, cluster);
      else edit(button.dataset.edit, form ? { cluster } : {}, cluster);
    });
    addEventListener("beforeunload", (event) => { if (waiting.size) { [...waiting.keys()].forEach(save); event.preventDefault(); } });
  }

  // The contents mark where the reader is, and follow.
  const side = $(".side"), links = new Map($$("a", side).map((link) => [link.getAttribute("href").slice(1), link]));
  const parts = $$("main > section:not(#clusters), .cause, .cluster").filter((part) => links.has(part.id)), seen = new Set();
  const watch = new IntersectionObserver((entries) => {
    entries.forEach(({ target, isIntersecting }) => seen[isIntersecting ? "add" : "delete"](target));
    const here = parts.filter((part) => seen.has(part)), first = here.find((part) => !here.some((other) => other !== part && part.contains(other)));
    links.forEach((link, id) => {
      const isHere = Boolean(first) && (first.id === id || $(`#${id}`).contains(first));
      link.classList.toggle("here", isHere);
      if (isHere) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    });
    const link = first && links.get(first.id);
    if (!link || side.scrollHeight <= side.clientHeight) return;
    const above = link.offsetTop - side.scrollTop;
    if (above < 40 || above > side.clientHeight - 60) side.scrollTo({ top: link.offsetTop - side.clientHeight / 2, behavior: "instant" });
  }, { rootMargin: "-140px 0px -55% 0px" });
  parts.forEach((part) => watch.observe(part));
})();
