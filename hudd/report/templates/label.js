"use strict";
(async () => {
  const $ = (query) => document.querySelector(query);
{% include "say.js" %}
{% include "send.js" %}
  const element = (tag, fields = {}, ...children) => { const made = Object.assign(document.createElement(tag), fields); made.append(...children); return made; };
  const tell = (text, bad = false) => { $(".saved").textContent = text; $(".saved").classList.toggle("bad", bad); };
  const picture = (image) => `/picture/unsafe/${image}`;

  let classes, images, at = 0, choices = [];
  try { ({ classes, images } = await send("/labels")); } catch (error) { tell(error.message, true); return; }
  const input = $("#class"), strip = $(".strip");
  // Where the classes are digits, a digit's key means that digit.
  const digits = classes.every((name) => /^[0-9]$/.test(name));
  const key = (choice, place) => digits ? choice.name : place < 10 ? String((place + 1) % 10) : "";

  const search = () => {
    const wanted = input.value.trim().toLowerCase();
    choices = classes.map((name, number) => ({ name, number })).filter(({ name }) => name.toLowerCase().includes(wanted));
    // A name that is just what was typed comes first, so that "2" means 2 and not 12.
    choices.sort((a, b) => (b.name.toLowerCase() === wanted) - (a.name.toLowerCase() === wanted) || a.number - b.number);
    const chosen = images[at] && images[at].label;
    $(".choices").replaceChildren(...choices.map((choice, place) => {
      const { name, number } = choice;
      const button = element("button", { type: "button", className: wanted && place === 0 ? "first" : "", onclick: () => label(number) });
      if (key(choice, place)) button.append(element("kbd", { textContent: key(choice, place) }));
      button.append(element("span", { textContent: name }));
      button.setAttribute("aria-pressed", number === chosen);
      return button;
    }));
  };
  const count = () => {
    const done = images.filter((one) => one.label >= 0).length;
    $("#done").textContent = say("{done} of {count} labelled", { done, count: images.length });
    $(".progress i").style.width = `${100 * done / Math.max(1, images.length)}%`;
    [...strip.children].forEach((button, place) => {
      button.classList.toggle("done", images[place].label >= 0);
      button.setAttribute("aria-current", place === at);
    });
  };
  const show = (place) => {
    if (!images.length) { tell(say("the unsafe set is empty")); return; }
    at = Math.max(0, Math.min(images.length - 1, place));
    const one = images[at];
    const shot = element("img", { className: "pic", src: picture(one.image), alt: say("Image {path}", { path: one.path }) });
    shot.addEventListener("load", () => shot.classList.toggle("tiny", shot.naturalWidth <= 64));
    $(".stage").replaceChildren(shot);
    const told = say("for cluster {cluster}; the DNN says {answer} ({score})", { cluster: one.cluster, answer: "\0", score: one.score.toFixed(2) });
    const [before, after] = told.split("\0").map((part) => element("span", { textContent: part }));
    const answer = element("b", { textContent: classes[one.prediction] ?? String(one.prediction) });
    $("#about").replaceChildren(element("span", { className: "path", textContent: one.path }), before, answer, after);
    input.value = "";
    search();
    count();
    strip.children[at].scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  // One label after the other: each tells the server which one it takes the place of.
  let last = Promise.resolve();
  const write = async (one, number) => {
    try {
      tell(say("saving …"));
      one.label = (await send(`/labels/${one.image}`, "PUT", { label: number, was: one.label })).label;
      tell(say("saved"));
      if (images[at] === one) show(number >= 0 ? at + 1 : at); else count();
    } catch (error) {
      if (error.now) { one.label = error.now.label; show(images.indexOf(one)); }
      tell(say("not saved: {reason}", { reason: error.message }), true);
    }
  };
  const label = (number) => { const one = images[at]; last = last.then(() => write(one, number)); };

  strip.append(...images.map((one, place) => {
    const button = element("button", { type: "button", onclick: () => show(place), title: one.path }, element("img", { src: picture(one.image), alt: one.path, loading: "lazy" }));
    button.setAttribute("role", "listitem");
    return button;
  }));
  input.addEventListener("input", search);
  $("#back").onclick = () => show(at - 1);
  $("#skip").onclick = () => show(at + 1);
  $("#clear").onclick = () => label(-1);
  $("#finish").onclick = async () => {
    try { tell(say("new labels in the study: {count}", { count: (await send("/labels/finish", "POST")).new })); } catch (error) {
      if (error.now) {
        images.forEach((one) => { one.label = error.now.labels[one.image] ?? one.label; });
        show(images.findIndex((one) => one.image in error.now.labels));
      }
      tell(error.message, true);
    }
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target === input && input.value !== "";
    if (event.key === "Enter" && event.target === input && input.value.trim() && choices.length) { event.preventDefault(); label(choices[0].number); }
    else if (event.key === "ArrowLeft" && !typing) show(at - 1);
    else if (event.key === "ArrowRight" && !typing) show(at + 1);
    else if (event.key === "Delete" && !typing) label(-1);
    else if (/^[0-9]$/.test(event.key) && event.target !== input) {
      const choice = choices.find((one, place) => key(one, place) === event.key);
      if (choice) { event.preventDefault(); label(choice.number); }
    } else if (/^\p{L}$/u.test(event.key) && event.target !== input) input.focus();
  });
  const open = images.findIndex((one) => one.label < 0);
  show(open < 0 ? 0 : open);
  $(".desk").classList.add("filled"); // what is seen before would shift
})();
