import { element, setText } from "../shared/dom.js";
import { formatDuration, formatNumber, formatPercent } from "../shared/format.js";
import { calendarOf } from "./calendar.js";
import { card, failureNotice, sectionHeader } from "./card.js";
import { explanation } from "./explanation.js";
import { LiveQueries } from "./live.js";
import { Retention } from "./retention.js";
import { Shares } from "./shares.js";
import { Tile } from "./tile.js";
import { timeframePicker } from "./timeframe.js";

/** What people did within a timeframe, and whether they come again. */
export class Analytics {
    element;
    #queries;
    #timeframe;
    #tiles;
    #composition = new Shares();
    #retention = new Retention();
    #since = element("p", { class: "updated" });
    #notice = element("div", { class: "failure" });

    constructor({ client, timeframe }) {
        this.#queries = new LiveQueries(client);
        this.#timeframe = timeframe;
        timeframe.addEventListener("change", () => this.#queries.isOpen && this.show());

        const tile = (label, field, format = formatNumber) => [field, new Tile({ label, place: ["UserAnalytics", field], format })];
        this.#tiles = new Map([
            tile("Active users", "activeUsers"),
            tile("New users", "newUsers"),
            tile("Returning users", "returningUsers"),
            tile("Sessions", "sessions"),
            tile("Median session", "medianSessionLength", formatDuration),
            tile("Messages", "messages"),
            tile("Stickiness", "stickiness", formatPercent),
        ]);
        this.element = element("div", { class: "section" },
            sectionHeader("Analytics", this.#since, timeframePicker(timeframe)),
            this.#notice,
            element("div", { class: "tiles is-seven" }, Array.from(this.#tiles.values(), (each) => each.element)),
            card("Who was active", {}, this.#composition.element),
            card("Retention", {
                tools: [explanation("Retention", ["UserAnalytics", "retention"])],
                note: "Weeks begin on Monday at midnight UTC. The last week of each row is still running.",
            }, this.#retention.element));
    }

    show() {
        const timeframe = this.#timeframe.value;
        this.#queries.watch("analytics", "admin:getUserAnalytics", { timeframe }, ({ value, error }) => this.#update(value, error));
    }

    hide() {
        this.#queries.closeAll();
    }

    #update(analytics, error) {
        this.#notice.replaceChildren(...(error ? [failureNotice(error)] : []));
        if (!analytics) return;
        const { timeframe, since, activeUsers, returningUsers } = analytics;
        const isCounted = since !== undefined;
        if (!isCounted) {
            const words = "Nothing has been counted yet. Is attune-metrics running?";
            this.#notice.replaceChildren(element("p", { class: "notice warning", role: "status" }, words));
        }
        setText(this.#since, isCounted ? `Since ${calendarOf(timeframe).begin(since)}` : "");
        for (const [field, tile] of this.#tiles) tile.update(analytics[field]);
        this.#composition.update([
            { label: "Returning users", className: "series-1", value: returningUsers },
            { label: "With a new account", className: "series-3", value: activeUsers - returningUsers },
        ]);
        this.#retention.update(analytics.retention);
    }
}
