import { element, setText } from "../shared/dom.js";
import { formatDuration, formatMoment, formatNumber } from "../shared/format.js";
import { calendarOf } from "./calendar.js";
import { card, failureNotice, sectionHeader } from "./card.js";
import { TimeChart } from "./charts/time-chart.js";
import { explanation } from "./explanation.js";
import { LevelView } from "./level.js";
import { LiveQueries } from "./live.js";
import { Tile } from "./tile.js";
import { timeframePicker } from "./timeframe.js";

const formatLoad = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format;

/** Response times: none of buckets without calls. */
const ifCalled = (field) => (bucket) => bucket.calls > 0 ? bucket[field] : null;

/** How the installation is doing now, and how it did over time. */
export class Overview {
    element;
    #queries;
    #timeframe;
    #level = new LevelView();
    #tiles;
    #updated = element("p", { class: "updated" });
    #failure = element("div", { class: "failure" });
    #note = element("p", { class: "note" });
    #charts = {
        activity: new TimeChart({
            title: "Activity",
            formatValue: formatNumber,
            series: [
                { label: "Active users", className: "series-1", shape: "area", value: (bucket) => bucket.activeUsers },
                { label: "Sessions", className: "series-2", shape: "line", value: (bucket) => bucket.sessions },
                { label: "New users", className: "series-3", shape: "line", value: (bucket) => bucket.newUsers },
            ],
        }),
        messages: new TimeChart({
            title: "Messages",
            formatValue: formatNumber,
            series: [{ label: "Messages", className: "series-1", shape: "bar", value: (bucket) => bucket.messages }],
        }),
        responseTimes: new TimeChart({
            title: "Response times",
            formatValue: formatDuration,
            wholeNumbers: false,
            series: [
                { label: "Mean", className: "series-2", shape: "area", value: ifCalled("avgResponseTime") },
                { label: "95th percentile", className: "series-4", shape: "line", value: ifCalled("responseTimeP95") },
            ],
        }),
    };

    constructor({ client, timeframe }) {
        this.#queries = new LiveQueries(client);
        this.#timeframe = timeframe;
        timeframe.addEventListener("change", () => this.#queries.isOpen && this.#watchSeries());

        const tile = (label, field, format = formatNumber, isWide = false) =>
            [field, new Tile({ label, place: ["SystemMetrics", field], format, isWide })];
        this.#tiles = new Map([
            tile("Active users", "activeUsers"),
            tile("Active sessions", "activeSessions"),
            tile("Sessions today", "sessionsToday"),
            tile("Therapists", "totalTherapists"),
            tile("Clients", "totalClients"),
            tile("Messages sent", "messagesSent"),
            tile("Response time", "avgResponseTime", formatDuration, true),
            tile("System load", "systemLoad", formatLoad),
            tile("Storage used", "storageUsed", String),
        ]);
        const levelCard = element("div", { class: "card level-card" },
            this.#level.element,
            element("p", { class: "level-more" },
                explanation("Security level", ["SystemMetrics", "activeSecurityLevel"]),
                element("a", { href: "#security" }, "See the events")));
        this.element = element("div", { class: "section" },
            sectionHeader("Overview", this.#updated),
            this.#failure,
            levelCard,
            element("div", { class: "tiles" }, Array.from(this.#tiles.values(), (each) => each.element)),
            element("div", { class: "subheader" }, element("h2", {}, "Over time"), timeframePicker(timeframe)),
            element("div", { class: "cards" },
                card("Activity", { className: "is-wide" }, this.#charts.activity.element),
                card("Messages", {}, this.#charts.messages.element),
                card("Response times", {}, this.#charts.responseTimes.element)),
            this.#note);
    }

    show() {
        this.#queries.watch("metrics", "admin:getSystemMetrics", {}, ({ value, error }) => this.#showMetrics(value, error));
        this.#watchSeries();
    }

    hide() {
        this.#queries.closeAll();
    }

    #showMetrics(metrics, error) {
        this.#failure.replaceChildren(...(error ? [failureNotice(error)] : []));
        if (!metrics) return;
        this.#level.update(metrics.activeSecurityLevel);
        for (const [field, tile] of this.#tiles) tile.update(metrics[field], detail(field, metrics));
        setText(this.#updated, `Last change ${formatMoment(metrics.updatedAt)}`);
    }

    #watchSeries() {
        const timeframe = this.#timeframe.value;
        this.#queries.watch("series", "admin:getUserAnalytics", { timeframe }, ({ value }) => {
            if (!value) return;
            const calendar = calendarOf(timeframe);
            for (const chart of Object.values(this.#charts)) chart.update(value.series, calendar);
            setText(this.#note, `${calendar.note} What is dashed or pale is still running.`);
        });
    }
}

/** What stands below a number. */
function detail(field, metrics) {
    switch (field) {
        case "activeUsers":
        case "activeSessions":
            return "within 30 minutes";
        case "sessionsToday":
            return "since midnight UTC";
        case "avgResponseTime":
            if (metrics.avgResponseTime === 0) return "no calls within 5 minutes";
            return [["p50", "responseTimeP50"], ["p95", "responseTimeP95"], ["p99", "responseTimeP99"]]
                .map(([name, percentile]) => `${name} ${formatDuration(metrics[percentile])}`).join(" · ");
        case "systemLoad":
            return "per processor";
        case "storageUsed":
            return "by the database";
        default:
            return "";
    }
}
