import { element } from "../shared/dom.js";
import { formatNumber, formatPercent } from "../shared/format.js";
import { formatDayInUTC } from "./calendar.js";

/** How many of each week's new accounts were active in the weeks after: a table whose cells are the more coloured the more came. */
export class Retention {
    #table = element("table", { class: "heat-map" });
    #empty = element("p", { class: "empty" }, "There are no accounts of the last 12 weeks.");
    element = element("div", { class: "table-scroller", tabindex: 0, role: "region", "aria-label": "Retention by week" },
        this.#table, this.#empty);

    /** @param cohorts  the oldest first */
    update(cohorts) {
        const weeks = Math.max(0, ...cohorts.map(({ active }) => active.length));
        this.#table.hidden = weeks === 0;
        this.#empty.hidden = weeks > 0;
        if (weeks === 0) return;
        const head = element("tr", {},
            element("th", { scope: "col" }, "Week of"),
            element("th", { scope: "col", class: "is-number" }, "Accounts"),
            Array.from({ length: weeks }, (_, week) =>
                element("th", { scope: "col", class: "heat-week" }, element("span", { class: "unseen" }, "Week "), String(week))));
        this.#table.replaceChildren(
            element("caption", { class: "unseen" },
                "Share of each week’s new accounts that were active in that week (0) and in later ones"),
            element("thead", {}, head),
            element("tbody", {}, cohorts.map((cohort) => row(cohort, weeks))));
    }
}

function row({ week, users, active }, weeks) {
    return element("tr", {},
        element("th", { scope: "row" }, formatDayInUTC(week)),
        element("td", { class: "is-number" }, formatNumber(users)),
        Array.from({ length: weeks }, (_, index) =>
            index < active.length ? cell(active[index], users, index === active.length - 1) : element("td")));
}

function cell(active, users, isRunning) {
    if (users === 0) return element("td", { class: "heat-cell is-empty" }, "–");
    const share = Math.min(1, active / users);
    const made = element("td", {
        class: `heat-cell${isRunning ? " is-running" : ""}`,
        title: `${formatNumber(active)} of ${formatNumber(users)}${isRunning ? " so far" : ""}`,
    }, formatPercent(share));
    made.style.setProperty("--share", share);
    return made;
}
