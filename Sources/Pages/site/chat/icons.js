import { svg } from "../shared/dom.js";

const paths = {
    back: ["M15 5l-7 7 7 7"],
    send: ["M4 12l16-7-6 16-3-7z", "M11 14l9-9"],
    down: ["M6 9l6 6 6-6"],
    search: ["M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14z", "M16 16l4 4"],
    signOut: ["M10 4H5v16h5", "M14 8l4 4-4 4", "M18 12H9"],
    talk: ["M4 5h16v11H9l-5 4z"],
};

/** A picture for a button, by name. It says nothing to screen readers; the button's label does. */
export function icon(name) {
    return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, paths[name].map((d) => svg("path", { d })));
}
