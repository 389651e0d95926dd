import { svg } from "../shared/dom.js";

/** Drawn on 24 × 24. */
const paths = {
    overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
    security: "M12 3l7 3v5c0 4.5-3 8.2-7 10-4-1.8-7-5.5-7-10V6z",
    analytics: "M4 20h16M7 16v-5M12 16V6M17 16v-8",
    users: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 20c0-3.3 2.7-6 6-6s6 2.7 6 6M16 4a3.5 3.5 0 0 1 0 7M18 14.5c2 1 3 3 3 5.5",
    signOut: "M10 4H5v16h5M15 8l4 4-4 4M19 12H9",
    search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM20 20l-4.9-4.9",
    close: "M6 6l12 12M18 6L6 18",
    pause: "M9 5v14M15 5v14",
    resume: "M8 5l11 7-11 7z",
    up: "M12 19V5M6 11l6-6 6 6",
};

/** A picture beside words; it says nothing to screen readers. */
export function icon(name) {
    return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: paths[name] }));
}
