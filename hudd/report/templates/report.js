"use strict";
(() => {
  const $ = (query, root = document) => root.querySelector(query);
  const $$ = (query, root = document) => [...root.querySelectorAll(query)];
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

  // File and classes are searched, not the figures next to them; of members without a picture they are all there is.
  const told = (one) => (one.matches(".card") ? $$(".path, .answer > :not(i)", one) : [one]).map((part) => part.textContent).join("\n");
  const find = (words) => {
    const wanted = words.trim().toLowerCase();
    const sift = (images) => images.filter((one) => !(one.hidden = !told(one).toLowerCase().includes(wanted))).length;
    let any = 0;
    clusters.forEach((cluster) => {
      const rest = $(".rest", cluster), listed = rest ? sift($$("li", rest)) : 0;
      if (rest) { rest.hidden = !listed; rest.open = wanted && listed; }
      const some = sift($$(".card", cluster)) + listed;
      cluster.hidden = !some;
      any += some;
    });
    $("#nothing").hidden = any;
  };

  const show = (index) => {
    at = (index + shots.length) % shots.length;
    const card = shots[at].closest(".card");
    $(".stage").replaceChildren(...[...shots[at].children].map((image) => { const copy = image.cloneNode(); copy.loading = "eager"; return copy; }));
    $(".about").replaceChildren(...[...$(".text", card).children].map((part) => part.cloneNode(true)));
    $(".where").textContent = `${at + 1} of ${shots.length}`;
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

  // The map's dots are in the order of the errors; each knows its cluster.
  const map = $("#errors");
  if (map) {
    const labels = $("#dots").dataset.clusters.split(" "), dots = [...map.querySelectorAll("use")];
    const headline = (label) => $(`#h-${label}`).textContent.trim().replace(/\s+/g, " ");
    const of = (event) => labels[dots.indexOf(event.target.closest("use"))];
    const light = (label) => {
      if (!label) return;
      map.classList.add("lit");
      dots.forEach((dot, place) => dot.classList.toggle("lit", labels[place] === label));
      $$(".legend a").forEach((link) => link.classList.toggle("here", link.dataset.label === label));
      $("#dot").textContent = `Cluster ${headline(label)}`;
    };
    const dim = () => { map.classList.remove("lit"); $$(".legend a").forEach((link) => link.classList.remove("here")); };
    map.addEventListener("pointerover", (event) => light(of(event)));
    map.addEventListener("pointerleave", dim);
    $$(".legend a").forEach((link) => {
      ["pointerenter", "focus"].forEach((kind) => link.addEventListener(kind, () => light(link.dataset.label)));
      ["pointerleave", "blur"].forEach((kind) => link.addEventListener(kind, dim));
    });
    map.addEventListener("click", (event) => { if (of(event)) location.hash = `cluster-${of(event)}`; });
  }

  // A served report saves what is written in it, a moment after the last key.
  const token = $('meta[name="hudd-token"]'), state = $(".saved");
  if (token) {
    const headers = { "Content-Type": "application/json", "X-Hudd-Token": token.content };
    const tell = (text, bad = false) => { state.textContent = text; state.classList.toggle("bad", bad); };
    const waiting = new Map();
    const save = async (form) => {
      clearTimeout(waiting.get(form));
      waiting.delete(form);
      try {
        const content = JSON.stringify({ name: form.elements.name.value, note: form.elements.note.value });
        const answer = await fetch(`/notes/${form.dataset.cluster}`, { method: "PUT", headers, body: content });
        if (!answer.ok) throw new Error(await answer.text());
        tell(waiting.size ? "saving …" : "saved");
      } catch (error) { tell(`not saved: ${error.message}`, true); }
    };
    $$(".review").forEach((form) => {
      form.addEventListener("submit", (event) => { event.preventDefault(); save(form); });
      form.addEventListener("input", () => { tell("saving …"); clearTimeout(waiting.get(form)); waiting.set(form, setTimeout(save, 400, form)); });
    });
    // A merge or split changes sizes, risks and rules: the page is read again, at the same cluster.
    const edit = async (name, content, there) => {
      try {
        tell("saving …");
        await Promise.all([...waiting.keys()].map(save));
        const answer = await fetch(`/clusters/${name}`, { method: "POST", headers, body: JSON.stringify(content) });
        if (!answer.ok) throw new Error(await answer.text());
        tell("reading the page again …");
        if (there) history.replaceState(null, "", `#cluster-${there}`);
        location.reload();
      } catch (error) { tell(`not done: ${error.message}`, true); }
    };
    document.addEventListener("change", (event) => {
      if (event.target.matches("[data-merge]")) $("[data-edit=merge]", event.target.closest(".edit")).disabled = !event.target.value;
    });
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-edit]");
      if (!button) return;
      const form = button.closest(".edit"), cluster = form && +form.dataset.cluster;
      if (button.dataset.edit === "merge") edit("merge", { into: cluster, other: +$("[data-merge]", form).value }, cluster);
      else edit(button.dataset.edit, form ? { cluster } : {}, cluster);
    });
    addEventListener("beforeunload", (event) => { if (waiting.size) { [...waiting.keys()].forEach(save); event.preventDefault(); } });
    fetch("/notes", { headers }).then((answer) => answer.json()).then((notes) => $$(".review").forEach((form) => {
      if (!waiting.has(form)) Object.assign(form.elements.name, { value: notes[form.dataset.cluster].name });
      if (!waiting.has(form)) Object.assign(form.elements.note, { value: notes[form.dataset.cluster].note });
    })).catch(() => tell("the server has gone", true));
  }

  // The contents mark where the reader is.
  const links = new Map($$(".side a").map((link) => [link.getAttribute("href").slice(1), link]));
  const watch = new IntersectionObserver((entries) => entries.forEach((entry) => {
    const link = links.get(entry.target.id);
    if (link) link.classList.toggle("here", entry.isIntersecting);
  }), { rootMargin: "-140px 0px -55% 0px" });
  $$("main > section:not(#clusters), .cluster").forEach((part) => watch.observe(part));
})();
