import Events
import Spool

/// Tells a person what lies in a spool's folder.
public struct SpoolReport {
    private let folder: String

    public init(folder: String) {
        self.folder = folder
    }

    /// - Parameters:
    ///   - includingRecords: each record is a line too, in front.
    ///   - print: gets lines of text.
    public func write(includingRecords: Bool, to print: (String) -> Void) throws {
        print(folder)
        let inspection = try SpoolInspection(folder: folder) { record in
            if includingRecords { print("  \(record.position)\t\(Self.describe(record.payload))") }
        }
        print("  spool \(inspection.id?.description ?? "without a legible id")")
        for segment in inspection.segments {
            var line = "  \(segment.name): from \(segment.firstPosition)"
            line += ", \(segment.recordCount) records, \(segment.byteCount) bytes"
            if segment.isHeaderDamaged { line += ", damaged header" }
            if !segment.lost.isEmpty {
                let ranges = segment.lost.map { "\($0.lowerBound) to \($0.upperBound - 1)" }.joined(separator: ", ")
                line += ", lost: \(ranges)"
            }
            if segment.tornBytes > 0 { line += ", \(segment.tornBytes) bytes of an unfinished batch" }
            print(line)
        }
    }

    private static func describe(_ payload: ArraySlice<UInt8>) -> String {
        switch try? SpoolEntry(decoding: payload) {
        case .event(let input, _, let row):
            guard let event = try? EventRow.decode(row).event else { return "\(input.name)\tan event that cannot be read" }
            return [
                input.name, "\(Int64(event.occurredAt.milliseconds))", event.type, event.severity.rawValue,
                event.ip?.description ?? "-", event.details,
            ].joined(separator: "\t")
        case .rejected(let input, _, let reason, let raw): return "\(input.name)\trejected: \(reason)\t\(raw.count) bytes"
        case .duplicates(let input, let count): return "\(input.name)\t\(count) duplicates"
        case nil: return "a record of a kind that is not known"
        }
    }
}
