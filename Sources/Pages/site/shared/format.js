/** Numbers and times as people read them, in the browser's language and time zone. Times are milliseconds since 1970. */
const numbers = new Intl.NumberFormat();
const percents = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });
const times = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const weekdays = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const shortDays = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const days = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const daysWithYear = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** 12,345 */
export const formatNumber = (number) => numbers.format(number);

/** 37% for 0.37 */
export const formatPercent = (share) => percents.format(share);

/** 9:05 AM */
export const formatTime = (moment) => times.format(moment);

/** Nov 23, 2026 */
export const formatDate = (moment) => dates.format(moment);

/** Nov 23, 2026, 9:05:07 AM */
export const formatMoment = (moment) => moments.format(moment);

/** The day of a moment as a heading: Today, Yesterday, Sunday, November 22. */
export function formatDay(moment, now = Date.now()) {
    const age = daysBetween(moment, now);
    if (age === 0 || age === 1) return capitalized(relative.format(-age, "day"));
    return (isSameYear(moment, now) ? days : daysWithYear).format(moment);
}

/** A moment in as little room as possible: the time today, then the weekday, then the day. */
export function formatBriefly(moment, now = Date.now()) {
    const age = daysBetween(moment, now);
    if (age <= 0) return formatTime(moment);
    if (age === 1) return capitalized(relative.format(-1, "day"));
    if (age < 7) return weekdays.format(moment);
    return (isSameYear(moment, now) ? shortDays : dates).format(moment);
}

/** Units of time: their length, and the age from which the next one is better, in seconds. */
const units = [
    ["second", 1, 60],
    ["minute", 60, 3600],
    ["hour", 3600, 86_400],
    ["day", 86_400, 30 * 86_400],
    ["month", 30 * 86_400, 365 * 86_400],
    ["year", 365 * 86_400, Infinity],
];

/** How long ago: now, 5 minutes ago, yesterday. */
export function formatAge(moment, now = Date.now()) {
    const seconds = Math.min(0, Math.round((moment - now) / 1000));
    const [unit, size] = units.find(([, , end]) => -seconds < end);
    return relative.format(Math.round(seconds / size), unit);
}

/** A length of time in ms: 850 ms, 4.2 s, 12 min, 1 h 5 min. */
export function formatDuration(duration) {
    if (duration < 1000) return `${numbers.format(Number(duration.toPrecision(3)))} ms`;
    if (duration < 60_000) return `${numbers.format(Math.round(duration / 100) / 10)} s`;
    const minutes = Math.round(duration / 60_000);
    if (minutes < 60) return `${minutes} min`;
    return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function daysBetween(earlier, later) {
    const midnight = (moment) => new Date(moment).setHours(0, 0, 0, 0);
    return Math.round((midnight(later) - midnight(earlier)) / 86_400_000);
}

function isSameYear(one, other) {
    return new Date(one).getFullYear() === new Date(other).getFullYear();
}

function capitalized(text) {
    return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}
