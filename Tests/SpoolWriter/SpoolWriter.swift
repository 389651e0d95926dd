import Logging
import Spool

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

// Writes to the spool in a folder until it is killed, and prints each position as soon as it is durable. The payload of the
// record at position N is N's digits, N % 300 times.
//
// usage: spool-writer FOLDER
@main
struct SpoolWriter {
    static func main() async throws {
        let configuration = Spool.Configuration(folder: CommandLine.arguments[1], segmentSize: 64 << 10)
        let spool = try Spool(configuration, logger: Logger(label: "spool-writer"))
        while true { try await write(to: spool) }
    }

    private static func write(to spool: Spool) async throws {
        var batch = RecordBatch()
        for position in spool.end..<spool.end + .random(in: 1...20) {
            let digits = Array("\(position)".utf8)
            batch.append { bytes in
                for _ in 0..<position % 300 { bytes += digits }
            }
        }
        let end = try spool.append(batch)
        try await spool.waitUntilDurable(end)
        print(end)
        fflush(nil)
    }
}
