// Draws the latest scene at the screen's next refresh, and says so. Nothing blinks: changes are single steps or slow.

const GROUND = "#10141a", FRAME = "#39424e", TARGET = "#e69f00", CURSOR = "#56b4e9";
const SILENCE_MS = 300, RETRY_MS = 500, PRAISE_MS = 900;
const isSpectator = location.pathname === "/spectator";
const isStill = matchMedia("(prefers-reduced-motion: reduce)");
const canvas = document.getElementById("world");
const pen = canvas.getContext("2d", { desynchronized: true, alpha: false });
const element = (id) => document.getElementById(id);

let texts = {}, scene = null, socket = null;
let newest = 0, drawn = 0, heardMs = -Infinity, isAway = false, isAsked = false, praisedMs = -Infinity;

function connect() {
  socket = new WebSocket(`ws://${location.host}/scenes${isSpectator ? "?spectator" : ""}`);
  socket.onmessage = ({ data }) => hear(JSON.parse(data));
  socket.onclose = () => setTimeout(connect, RETRY_MS);
}

function hear(message) {
  heardMs = performance.now();
  if (message.texts) { texts = message.texts; return; }
  if (scene && message.scene.successes > scene.successes) praisedMs = heardMs;
  scene = message.scene;
  newest = message.n;
  ask();
}

function ask() {
  if (!isAsked) { isAsked = true; requestAnimationFrame(draw); }
}

function draw(nowMs) {
  isAsked = false;
  const praise = isStill.matches ? 0 : Math.max(0, 1 - (nowMs - praisedMs) / PRAISE_MS);
  paint(praise);
  tell();
  if (newest !== drawn && socket.readyState === WebSocket.OPEN) {
    drawn = newest;
    socket.send(`{"drawn": ${drawn}}`);
  }
  if (praise > 0) ask();
}

function paint(praise) {
  const ratio = devicePixelRatio, width = Math.round(innerWidth * ratio), height = Math.round(innerHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  pen.globalAlpha = 1;
  pen.fillStyle = GROUND;
  pen.fillRect(0, 0, width, height);
  const shown = isAway ? "lost" : scene?.phase;
  if (!scene || !scene.position.length || shown === "end" || shown === "wait") return;
  pen.globalAlpha = shown === "lost" || shown === "rest" ? 0.25 : 1;
  const side = 0.72 * Math.min(width, height), left = (width - side) / 2, top = (height - side) / 2;
  const at = (p) => [left + p[0] * side, top + (1 - (p[1] ?? 0.5)) * side];
  pen.lineWidth = side / 160;
  pen.strokeStyle = FRAME;
  pen.strokeRect(left, top, side, side);
  if (shown !== "rest") place(at(scene.target), scene.radius * side, TARGET, scene.target[3], praise);
  place(at(scene.position), 0.035 * side, CURSOR, scene.position[3], 1);
  if (scene.position.length > 2) lift(left + 1.06 * side, top, side);
}

// A ring, filled as far as `filled` says; where there is a hand, two jaws around it that close with `grip`.
function place([x, y], radius, colour, grip, filled) {
  const alpha = pen.globalAlpha;
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineWidth = Math.max(3, radius / 6);
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.stroke();
  pen.globalAlpha = alpha * filled;
  pen.fill();
  pen.globalAlpha = alpha;
  if (grip === undefined) return;
  const gap = Math.min(1, Math.max(0, 1 - grip)), reach = radius * (1.25 + 0.9 * gap);
  for (const middle of [0, Math.PI]) {
    pen.beginPath();
    pen.arc(x, y, reach, middle - 0.6, middle + 0.6);
    pen.stroke();
  }
}

// Height: a rail beside the field, with the wanted height as a bar and the present one as a disc.
function lift(x, top, side) {
  const at = (value) => top + (1 - value) * side;
  pen.lineWidth = side / 160;
  pen.strokeStyle = FRAME;
  pen.beginPath();
  pen.moveTo(x, top);
  pen.lineTo(x, top + side);
  pen.stroke();
  pen.fillStyle = TARGET;
  pen.fillRect(x - 0.04 * side, at(scene.target[2]) - 0.01 * side, 0.08 * side, 0.02 * side);
  pen.fillStyle = CURSOR;
  pen.beginPath();
  pen.arc(x, at(scene.position[2]), 0.025 * side, 0, 2 * Math.PI);
  pen.fill();
}

function tell() {
  const phase = isAway ? "lost" : scene?.phase ?? "wait";
  set(element("text"), isAway ? texts.away ?? "" : scene?.text ?? texts.wait ?? "");
  document.body.dataset.phase = phase;
  if (!scene) return;
  set(element("score"), scene.trials ? String(scene.successes) : "");
  const isHelped = scene.assist > 0 && phase === "task";
  element("assist").hidden = !isHelped;
  set(element("assist-name"), texts.assist ?? "");
  element("assist-level").value = scene.assist;
  element("numbers").hidden = !isSpectator;
  if (isSpectator) set(element("numbers"), numbers(phase));
}

function numbers(phase) {
  const list = (values) => values.map((value) => value.toFixed(2).padStart(6)).join("");
  return [
    `phase     ${phase}`, `position  ${list(scene.position)}`, `target    ${list(scene.target)}`,
    `assist    ${scene.assist.toFixed(2)}`, `successes ${scene.successes} of ${scene.trials}`, `scene     ${scene.seq}`,
  ].join("\n");
}

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

setInterval(() => {
  const away = performance.now() - heardMs > SILENCE_MS;
  if (away !== isAway) { isAway = away; ask(); }
}, 50);
addEventListener("resize", ask);
addEventListener("keydown", () => document.documentElement.requestFullscreen?.().catch(() => {}));
connect();
