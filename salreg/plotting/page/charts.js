// The charts, in the page's own colours: light or dark, as the reader's system is.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim(); }

function drawCharts() {
  const ink = colour("ink"), line = colour("line");
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line };
  for (const place of document.querySelectorAll(".plot")) {
    const { data, layout } = JSON.parse(place.dataset.figure);
    for (const trace of data) if (trace.line.color === "ink") trace.line.color = ink;
    Object.assign(layout, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, family: "system-ui, sans-serif", size: 12 },
      hoverlabel: { bgcolor: colour("raised"), font: { color: ink } }, xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
    });
    Plotly.react(place, data, layout, { displayModeBar: false, responsive: true });
  }
}

for (const folded of document.querySelectorAll("details")) {
  folded.addEventListener("toggle", () => folded.querySelectorAll(".plot").forEach((place) => Plotly.Plots.resize(place)));
}
drawCharts();
dark.addEventListener("change", drawCharts);
