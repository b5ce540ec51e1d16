  // What the script says, in the page's language; {names} are filled in.
  const texts = {{ texts | tojson }};
  const say = (text, values = {}) => texts[text].replace(/\{(\w+)\}/g, (_, name) => values[name]);
