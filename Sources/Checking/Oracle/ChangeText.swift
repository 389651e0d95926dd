import Domain

/// One changed row, as PostgreSQL's `test_decoding` plugin writes it.
struct RowChange {
    enum Kind {
        case insert
        case update
        case delete
    }

    let table: String
    let kind: Kind
    /// The row's columns: the new row, or of a deleted one its replica identity. A column that is missing has not changed.
    let columns: [String: String?]
    /// The old key, where it differs.
    let oldKey: [String: String?]
}

/// Reads lines of `test_decoding`: `table public.users: UPDATE: id[uuid]:'…' name[text]:'it''s' bio[text]:null`.
///
/// The checker reads the log through another plugin, by another connection kind and with other code than the server does: what
/// both get wrong in the same way is not found.
enum ChangeText {
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    /// Nil for lines that change no row: BEGIN, COMMIT, messages, TRUNCATE of nothing that we watch.
    static func parse(_ line: String) throws -> RowChange? {
        var reader = Reader(line)
        guard reader.skip("table public.") else { return nil }
        let table = reader.text(upTo: ":")
        guard reader.skip(": ") else { throw Malformed(description: "no action in: \(line.prefix(200))") }
        let action = reader.text(upTo: ":")
        guard reader.skip(":") else { throw Malformed(description: "no action in: \(line.prefix(200))") }
        let kind: RowChange.Kind
        switch action {
        case "INSERT": kind = .insert
        case "UPDATE": kind = .update
        case "DELETE": kind = .delete
        default: throw Malformed(description: "unknown action \(action)")
        }
        var oldKey: [String: String?] = [:]
        if reader.skip(" old-key:") {
            oldKey = try reader.columns()
            guard reader.skip(" new-tuple:") else { throw Malformed(description: "no new-tuple in: \(line.prefix(200))") }
        }
        return RowChange(table: table, kind: kind, columns: try reader.columns(), oldKey: oldKey)
    }

    private struct Reader {
        private let bytes: [UInt8]
        private var index = 0

        init(_ line: String) {
            bytes = Array(line.utf8)
        }

        mutating func skip(_ text: String) -> Bool {
            guard bytes[index...].starts(with: text.utf8) else { return false }
            index += text.utf8.count
            return true
        }

        mutating func text(upTo end: Character) -> String {
            let start = index
            while index < bytes.count, bytes[index] != end.asciiValue { index += 1 }
            return String(decoding: bytes[start..<index], as: UTF8.self)
        }

        /// Up to the line's end or ` new-tuple:`.
        mutating func columns() throws -> [String: String?] {
            var columns: [String: String?] = [:]
            while index < bytes.count, bytes[index] == UInt8(ascii: " ") {
                let before = index
                index += 1
                if bytes[index...].starts(with: "new-tuple:".utf8) {
                    index = before
                    break
                }
                if bytes[index...].starts(with: "(no-tuple-data)".utf8) { break }
                let name = text(upTo: "[")
                // Types may hold brackets (`text[]`) and blanks; the colon ends them.
                _ = text(upTo: ":")
                index += 1
                if let value = try value() { columns[name] = .some(value) }
            }
            return columns
        }

        /// Nil: unchanged, and not in the log, since it is stored out of line.
        private mutating func value() throws -> String?? {
            guard index < bytes.count else { throw Malformed(description: "a column without a value") }
            if bytes[index] == UInt8(ascii: "'") { return .some(.some(quoted())) }
            let start = index
            while index < bytes.count, bytes[index] != UInt8(ascii: " ") { index += 1 }
            switch String(decoding: bytes[start..<index], as: UTF8.self) {
            case "null": return .some(.none)
            case "unchanged-toast-datum": return .none
            case let word: return .some(.some(word))
            }
        }

        /// Quotes are doubled inside.
        private mutating func quoted() -> String {
            var text: [UInt8] = []
            index += 1
            while index < bytes.count {
                if bytes[index] == UInt8(ascii: "'") {
                    guard index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "'") else { break }
                    index += 1
                }
                text.append(bytes[index])
                index += 1
            }
            index += 1
            return String(decoding: text, as: UTF8.self)
        }
    }
}

/// `2026-11-22 22:35:14.123456+00`, as PostgreSQL writes it in UTC, in milliseconds since 1970.
func milliseconds(ofTimestamp text: String) -> Double? {
    let parts = text.split(whereSeparator: { "-: +".contains($0) })
    guard parts.count == 7, text.hasSuffix("+00"), let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2]),
        let hour = Int(parts[3]), let minute = Int(parts[4])
    else { return nil }
    let second = parts[5].split(separator: ".")
    guard let wholeSecond = Int(second[0]) else { return nil }
    var micros = 0
    if second.count == 2 {
        guard let digits = Int(second[1]) else { return nil }
        micros = digits
        for _ in second[1].count..<6 { micros *= 10 }
    }
    // Days since 1970-01-01 in the proleptic Gregorian calendar, by years that begin in March.
    let shifted = month <= 2 ? year - 1 : year
    let era = shifted / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    return Double((((days * 24 + hour) * 60 + minute) * 60 + wholeSecond) * 1_000_000 + micros) / 1_000
}
