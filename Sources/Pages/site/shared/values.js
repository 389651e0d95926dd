/**
 * Reads JSON from the server. A few values have a form of their own in it (convex-protocol: `convex_encoded_json`): an object
 * with one key, `$float` for NaN and the like, `$integer` for 64-bit integers, `$bytes`.
 *
 * What clients send needs nothing of the kind: it is plain JSON.
 */
export function parseValues(text) {
    return JSON.parse(text, (_, value) => {
        if (value === null || typeof value !== "object") return value;
        if ("$float" in value) return viewOf(value.$float).getFloat64(0, true);
        if ("$integer" in value) return viewOf(value.$integer).getBigInt64(0, true);
        if ("$bytes" in value) return bytesOf(value.$bytes);
        return value;
    });
}

/** Reads a timestamp of the sync protocol: eight bytes, the lowest first, in base64. */
export function timestampOf(base64) {
    return viewOf(base64).getBigUint64(0, true);
}

/** A random UUID. (`crypto.randomUUID` is missing in pages that came over plain HTTP.) */
export function randomUUID() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function bytesOf(base64) {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function viewOf(base64) {
    return new DataView(bytesOf(base64).buffer);
}
