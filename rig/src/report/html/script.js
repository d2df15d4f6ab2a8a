// Brings the decisive moment into view, and keeps it there when the scale changes.
for (const line of document.querySelectorAll(".timeline")) {
  const mark = line.querySelector(".across .pointer");
  if (!mark) continue;
  const centre = () => {
    const shift = mark.getBoundingClientRect().left - line.getBoundingClientRect().left;
    line.scrollLeft += shift - line.clientWidth * 0.7;
  };
  centre();
  line.parentElement.querySelector(".zoom")?.addEventListener("change", centre);
}
