"use strict";

const API = "api/v1/"; // relative: a proxy may put a prefix before it
const element = (id) => document.getElementById(id);
const say = (text) => { element("message").textContent = text; };

// EventSource cannot send a token, so the stream is read by hand.
class Service {
  constructor(token) {
    this.headers = { authorization: `Bearer ${token}` };
  }

  async request(path, options = {}) {
    const response = await fetch(API + path, { ...options, headers: { ...this.headers, ...options.headers } });
    if (!response.ok) throw new Error(problem(await response.json()));
    return response;
  }

  async submit(urls) {
    const options = { method: "POST", body: JSON.stringify({ urls }), headers: { "content-type": "application/json" } };
    return (await (await this.request("submit", options)).json()).task_id;
  }

  async task(id) {
    return (await this.request(`tasks/${id}`)).json();
  }

  async remove(id) {
    await this.request(`tasks/${id}`, { method: "DELETE" });
  }

  // Every change until the end; a stream that ends before is asked for again.
  async *watch(id) {
    for (;;) {
      const response = await this.request(`tasks/${id}/progress`);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = "", part = await reader.read(); !part.done; part = await reader.read()) {
        const events = (text + part.value).split("\n\n");
        text = events.pop();
        for (const line of events.flatMap((event) => event.split("\n")).filter((line) => line.startsWith("data:"))) {
          const update = JSON.parse(line.slice(5));
          yield update;
          if (!["queued", "running"].includes(update.status)) return;
        }
      }
    }
  }
}

function problem({ detail, errors = [] }) {
  const faults = errors.slice(0, 5).map(({ pointer, detail }) => {
    const place = /^#\/urls\/(\d+)$/.exec(pointer);
    return `${place ? `URL ${Number(place[1]) + 1}` : pointer}: ${detail}.`;
  });
  return [detail, ...faults].join(" ");
}

function showProgress({ status, progress: { done, total } }) {
  element("progress").max = total || 1;
  element("progress").value = done;
  say(status === "cancelled" ? "Cancelled." : `${done} of ${total} URLs have a result.`);
}

function showResults(result) {
  const rows = Object.entries(result).map(([url, { timestamp, status, error }]) => {
    const row = document.createElement("tr");
    for (const text of [url, error ?? status, new Date(timestamp).toLocaleTimeString()]) {
      row.append(Object.assign(document.createElement("td"), { textContent: text }));
    }
    row.children[1].classList.toggle("bad", error !== null || status >= 400);
    return row;
  });
  element("results").tBodies[0].replaceChildren(...rows);
  element("results").hidden = false;
}

async function run(service, urls) {
  const id = await service.submit(urls);
  element("cancel").onclick = () => service.remove(id).catch((error) => say(error.message));
  element("progress").hidden = element("cancel").hidden = false;
  let last;
  for await (last of service.watch(id)) showProgress(last);
  if (last.status !== "cancelled") showResults((await service.task(id)).result);
}

element("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  element("results").hidden = element("progress").hidden = true;
  element("submit").disabled = true;
  say("Sending …");
  try {
    await run(new Service(element("token").value.trim()), element("urls").value.split(/\s+/).filter(Boolean));
  } catch (error) {
    say(error.message);
  } finally {
    element("submit").disabled = false;
    element("cancel").hidden = true;
  }
});
