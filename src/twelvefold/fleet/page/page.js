"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const table = $("table.services");
  const body = table.tBodies[0];
  const atOnce = Number(table.dataset.atOnce);
  const search = $("#search");
  const version = $("#version");
  const sorting = $("#sort");
  const clear = $("#clear");
  const more = $("#more");
  const tiles = [...document.querySelectorAll(".tile")];
  const heads = [...table.querySelectorAll("[data-sort]")];
  const natural = new Intl.Collator("en", { numeric: true });
  const services = [...body.rows].map((row, index) => {
    const [name, , , drift, at] = row.cells;
    return {
      row, index, name: name.textContent, version: row.dataset.version, kind: row.dataset.kind, state: Number(row.dataset.state),
      drift: Number(drift.textContent), at: at.firstChild?.dateTime ?? "", text: row.textContent.toLowerCase(),
    };
  });
  const ofRow = new Map(services.map((one) => [one.row, one]));
  let most = atOnce;
  let sorted = "state";
  let open = null;
  let writing;

  // What is told of a service once it is opened, unpacked when the page stands.
  const details = (async () => {
    const packed = Uint8Array.from(atob($("#details").textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  })();
  details.then((all) => {
    for (const one of services) one.text += ` ${[all[one.index].url, ...all[one.index].drift].join(" ").toLowerCase()}`;
    if (search.value) filter();
  });

  const pressed = () => tiles.filter((tile) => tile.ariaPressed === "true").map((tile) => tile.dataset.filter);

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kinds = new Set(pressed());
    const drifted = kinds.delete("drift");
    let count = 0;
    for (const one of services) {
      const wanted = (!kinds.size || kinds.has(one.kind)) && (!drifted || one.drift > 0)
        && (!version.value || one.version === version.value) && words.every((word) => one.text.includes(word));
      count += wanted;
      const hide = !wanted || count > most;
      if (one.row.hidden !== hide) one.row.hidden = hide;
    }
    if (open) open.detail.hidden = open.one.row.hidden;
    const seen = Math.min(count, most);
    $("#shown").textContent = `${count} of ${services.length}${seen < count ? `, the first ${seen} shown` : ""}`;
    $("#nothing").hidden = count > 0;
    more.hidden = seen === count;
    more.firstChild.textContent = `Show ${Math.min(atOnce, count - seen)} more`;
    clear.hidden = !(words.length || kinds.size || drifted || version.value);
  }

  function sort(by) {
    sorted = by;
    const key = by.replace(/^-/, "");
    const sign = by === key ? 1 : -1;
    const compare = typeof services[0]?.[key] === "number" ? (a, b) => a - b : natural.compare;
    services.sort((one, other) => sign * compare(one[key], other[key]) || natural.compare(one.name, other.name));
    for (const head of heads) {
      const th = head.closest("th");
      if (head.dataset.sort === key) th.ariaSort = sign > 0 ? "ascending" : "descending";
      else th.removeAttribute("aria-sort");
    }
    sorting.value = by;
    body.append(...services.map(({ row }) => row));
    open?.one.row.after(open.detail);
  }

  // A view is shared by its address.
  function write() {
    clearTimeout(writing);
    writing = setTimeout(() => {
      const view = new URLSearchParams();
      if (search.value) view.set("q", search.value);
      if (pressed().length) view.set("state", pressed().join());
      if (version.value) view.set("version", version.value);
      if (sorted !== "state") view.set("sort", sorted);
      if (open) view.set("open", open.one.name);
      history.replaceState(null, "", `#${view}`);
    }, 200);
  }

  function read() {
    const fragment = location.hash.slice(1);
    if (fragment && !fragment.includes("=")) return;
    const view = new URLSearchParams(fragment);
    const states = (view.get("state") ?? "").split(",");
    search.value = view.get("q") ?? "";
    version.value = view.get("version") ?? "";
    if (version.selectedIndex < 0) version.value = "";
    for (const tile of tiles) tile.ariaPressed = String(states.includes(tile.dataset.filter));
    const by = view.get("sort") ?? "state";
    if (by !== sorted && heads.some((head) => head.dataset.sort === by.replace(/^-/, ""))) sort(by);
    filter();
    const wanted = services.find((one) => one.name === view.get("open"));
    if (wanted && open?.one !== wanted) toggle(wanted).then(() => wanted.row.scrollIntoView());
  }

  const element = (name, text, under) => {
    const made = document.createElement(name);
    made.textContent = text;
    under.append(made);
    return made;
  };

  async function toggle(one) {
    const before = open;
    before?.detail.remove();
    before?.one.row.cells[0].firstChild.setAttribute("aria-expanded", "false");
    open = null;
    if (before?.one !== one) {
      const detail = document.createElement("tr");
      detail.className = "detail";
      open = { one, detail };
      one.row.hidden = false;
      one.row.after(detail);
      one.row.cells[0].firstChild.setAttribute("aria-expanded", "true");
      const cell = element("td", "", detail);
      cell.colSpan = 6;
      tell(one, (await details)[one.index], cell);
    }
    write();
  }

  function tell(one, told, cell) {
    element("h3", one.name, cell).dir = "auto";
    const where = element("p", told.url, cell);
    where.className = "url";
    if (told.target && told.target !== one.version) element("p", `At ${one.version}; the template is at ${told.target}.`, cell);
    if (told.drift.length) {
      element("p", "Not as the template has it:", cell);
      const list = element("ul", "", cell);
      for (const path of told.drift) element("code", path, element("li", "", list));
    }
    if (!told.report) {
      element("p", "The last run left no report.", cell).className = "soft";
      return;
    }
    const report = element("div", "", cell);
    report.className = "report";
    report.innerHTML = told.report; // made safe where the page was made
  }

  function changed() {
    most = atOnce;
    filter();
    write();
  }

  function cleared() {
    search.value = version.value = "";
    for (const tile of tiles) tile.ariaPressed = "false";
    changed();
    search.focus();
  }

  for (const head of heads) {
    head.addEventListener("click", () => {
      const key = head.dataset.sort;
      sort(sorted === key ? `-${key}` : key);
      changed();
    });
  }
  for (const tile of tiles) {
    tile.addEventListener("click", () => {
      tile.ariaPressed = String(tile.ariaPressed !== "true");
      changed();
    });
  }
  body.addEventListener("click", (event) => {
    const row = event.target.closest(".open")?.closest("tr");
    if (row) toggle(ofRow.get(row));
  });
  sorting.addEventListener("change", () => {
    sort(sorting.value);
    changed();
  });
  search.addEventListener("input", changed);
  version.addEventListener("change", changed);
  clear.addEventListener("click", cleared);
  search.form.addEventListener("submit", (event) => event.preventDefault());
  more.firstChild.addEventListener("click", () => {
    most += atOnce;
    const next = services.find((one) => one.row.hidden);
    filter();
    if (next && !next.row.hidden) next.row.cells[0].firstChild.focus();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, select");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && event.target === search) {
      search.value = "";
      changed();
    } else if (event.key === "Escape" && open) {
      const { one } = open;
      toggle(one);
      one.row.cells[0].firstChild.focus();
    }
  });
  addEventListener("hashchange", read);
  addEventListener("beforeprint", () => {
    most = Infinity;
    filter();
  });
  addEventListener("afterprint", changed);
  if (location.hash) read();
  else more.hidden = services.length <= atOnce;
  if (!more.hidden) filter();
})();
