  // A gallery of many pictures is shown a page at a time.
  const paged = (gallery, most) => {
    const cards = [...gallery.children];
    if (gallery.nextElementSibling?.matches(".pager")) gallery.nextElementSibling.remove();
    if (cards.length <= most) return;
    const button = (text, label, step) => {
      const made = Object.assign(document.createElement("button"), { type: "button", textContent: text, onclick: () => turn(first + step * most) });
      made.setAttribute("aria-label", label);
      return made;
    };
    const where = document.createElement("span"), line = Object.assign(document.createElement("p"), { className: "pager" });
    const back = button("←", say("earlier images"), -1), on = button("→", say("later images"), 1);
    where.setAttribute("role", "status");
    let first = 0;
    const turn = (to) => {
      first = to;
      cards.forEach((card, place) => card.classList.toggle("off", place < first || place >= first + most));
      where.textContent = say("{first} to {last} of {count}", { first: first + 1, last: Math.min(first + most, cards.length), count: cards.length });
      back.disabled = first <= 0;
      on.disabled = first + most >= cards.length;
    };
    line.append(back, where, on);
    gallery.after(line);
    turn(0);
  };
  $$("#unsafe .gallery").forEach((gallery) => paged(gallery, 12));
