  // The map's dots are in the order of the errors, or of those of a sample; each knows its cluster, and the card or line of its image.
  const map = $("#errors");
  if (map) {
    const labels = $("#dots").dataset.clusters.split(" "), dots = [...map.querySelectorAll("use")];
    const rows = $("#dots").dataset.rows?.split(" ");
    const headline = (label) => $(`#h-${label}`).textContent.trim().replace(/\s+/g, " ");
    const of = (event) => labels[dots.indexOf(event.target.closest("use"))];
    let chosen = new Set();
    const lit = (isLit) => {
      dots.forEach((dot, place) => dot.classList.toggle("lit", isLit(place)));
      map.classList.toggle("lit", dots.some((dot) => dot.matches(".lit")));
    };
    const light = (label) => {
      if (!label || drawing) return;
      lit((place) => labels[place] === label);
      $$(".legend a").forEach((link) => link.classList.toggle("here", link.dataset.label === label));
      $("#dot").textContent = say("Cluster {name}", { name: headline(label) });
    };
    const dim = () => { lit((place) => chosen.has(place)); $$(".legend a").forEach((link) => link.classList.remove("here")); };
    map.addEventListener("pointerover", (event) => light(of(event)));
    map.addEventListener("pointerleave", dim);
    $$(".legend a").forEach((link) => {
      ["pointerenter", "focus"].forEach((kind) => link.addEventListener(kind, () => light(link.dataset.label)));
      ["pointerleave", "blur"].forEach((kind) => link.addEventListener(kind, dim));
    });

    // The lasso: a line drawn around dots selects their images.
    const chart = map.closest("svg"), button = $("#lasso"), selection = $("#selection"), gallery = $(".gallery", selection);
    let drawing = false, path = [], line = null;
    const armed = () => button.getAttribute("aria-pressed") === "true";
    const arm = (on) => { button.setAttribute("aria-pressed", on); chart.classList.toggle("armed", on); };
    map.addEventListener("click", (event) => { if (of(event) && !armed()) location.hash = `cluster-${of(event)}`; });
    const inside = ([x, y]) => path.reduce((odd, [x1, y1], at) => {
      const [x2, y2] = path[(at + 1) % path.length];
      return (y1 > y) !== (y2 > y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1 ? !odd : odd;
    }, false);
    const centre = (dot) => { const place = dot.getBoundingClientRect(); return [place.x + place.width / 2, place.y + place.height / 2]; };
    const pictured = (place) => {
      const member = $(`.cluster [data-row="${rows ? rows[place] : place}"]`);
      if (!member) return [];
      const made = member.matches(".card") ? member.cloneNode(true) : document.createElement("li");
      if (member.matches(".card")) { made.classList.remove("medoid"); made.hidden = false; } else {
        made.className = "card named";
        made.append(...[...member.childNodes].map((part) => part.cloneNode(true)));
      }
      return made;
    };
    const select = (places) => {
      chosen = new Set(places);
      lit((place) => chosen.has(place));
      const counts = new Map();
      places.forEach((place) => counts.set(labels[place], (counts.get(labels[place]) || 0) + 1));
      const told = [...counts].sort(([, a], [, b]) => b - a).map(([label, count]) => say("{count} of cluster {name}", { count, name: label }));
      $("#selected").textContent = say("Errors selected: {count}", { count: places.length }) + (told.length ? ` (${told.join(", ")})` : "");
      gallery.replaceChildren(...places.flatMap(pictured));
      paged(gallery, 24);
      selection.hidden = false;
      $("#copy").disabled = !places.length;
    };
    const end = () => {
      if (!drawing) return;
      drawing = false;
      line.remove();
      select(dots.flatMap((dot, place) => path.length > 2 && inside(centre(dot)) ? [place] : []));
    };
    chart.addEventListener("pointerdown", (event) => {
      if (!armed() || event.button) return;
      event.preventDefault();
      drawing = true;
      path = [[event.clientX, event.clientY]];
      chart.setPointerCapture(event.pointerId);
      line = chart.appendChild(document.createElementNS(chart.namespaceURI, "polygon"));
      line.setAttribute("class", "line");
    });
    chart.addEventListener("pointermove", (event) => {
      if (!drawing) return;
      path.push([event.clientX, event.clientY]);
      const there = chart.getScreenCTM().inverse();
      line.setAttribute("points", path.map(([x, y]) => { const at = new DOMPoint(x, y).matrixTransform(there); return `${at.x},${at.y}`; }).join(" "));
    });
    chart.addEventListener("pointerup", end);
    chart.addEventListener("pointercancel", end);
    button.addEventListener("click", () => arm(!armed()));
    $("#copy").addEventListener("click", async () => {
      const names = $$(".path", gallery).map((name) => name.textContent.trim()).join("\n");
      try { await navigator.clipboard.writeText(names); } catch { // where the browser keeps a file from the clipboard
        const field = Object.assign(document.createElement("textarea"), { value: names });
        selection.append(field);
        field.select();
        document.execCommand("copy");
        field.remove();
      }
      $("#copied").textContent = say("copied");
    });
    $("#unselect").addEventListener("click", () => { chosen = new Set(); selection.hidden = true; arm(false); dim(); });
  }
