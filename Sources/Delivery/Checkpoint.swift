import Events
import Foundation
import Wire

/// How far a spool has been taken in by PostgreSQL, and what became of all that: the file `checkpoint` in the spool's folder.
///
/// PostgreSQL holds the same, and is right where they differ. The file tells the ledger while PostgreSQL is away. It may lag
/// behind, since everything from its position on is still in the spool.
struct Checkpoint {
    var position: UInt64
    /// All that stood before the position; none of it is spooled.
    var counts = PerInput(repeating: LedgerCounts())

    private static func path(in folder: String) -> String { folder + "/checkpoint" }

    init(position: UInt64) {
        self.position = position
    }

    /// Nil if there is none that can be read.
    init?(folder: String) {
        guard let data = FileManager.default.contents(atPath: Self.path(in: folder)), let json = try? JSON(parsing: data),
            let position = json["position"]?.countValue, case .object(let inputs)? = json["inputs"]
        else { return nil }
        self.position = UInt64(position)
        for input in inputs {
            guard let place = Input?(ledgerName: input.key), let stored = input.value["stored"]?.countValue,
                let duplicates = input.value["duplicates"]?.countValue, let deadLettered = input.value["dead_lettered"]?.countValue
            else { return nil }
            counts[place] = LedgerCounts(stored: stored, duplicates: duplicates, deadLettered: deadLettered)
        }
    }

    /// Replaces the file. It is not forced to the disk: a lost one costs a longer look at the spool.
    func write(folder: String) throws {
        let text = JSONWriter.bytes { writer in
            writer.beginObject()
            writer.field("position")
            writer.integer(position)
            writer.field("inputs")
            writer.beginObject()
            for input in PerInput<LedgerCounts>.inputs where counts[input].received > 0 {
                writer.key(input.ledgerName)
                writer.beginObject()
                writer.field("stored")
                writer.integer(counts[input].stored)
                writer.field("duplicates")
                writer.integer(counts[input].duplicates)
                writer.field("dead_lettered")
                writer.integer(counts[input].deadLettered)
                writer.endObject()
            }
            writer.endObject()
            writer.endObject()
        }
        try Data(text).write(to: URL(fileURLWithPath: Self.path(in: folder)), options: .atomic)
    }
}

extension JSON {
    /// A whole number that is not negative.
    var countValue: Int? {
        guard case .number(let value) = self, let count = Int(exactly: value), count >= 0 else { return nil }
        return count
    }
}
