import Foundation
import Ingest
import Synchronization

/// Shows on standard error how far an import has come: a bar on a terminal, or else a line every ten seconds.
final class ProgressBar: Sendable {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let start = ContinuousClock.now
    private let lastShown = Mutex<ContinuousClock.Instant?>(nil)

    func show(_ progress: EventImport.Progress) {
        let isDue = lastShown.withLock { last in
            let isDue = isTerminal || (last ?? start).duration(to: .now) >= .seconds(10)
            if isDue { last = .now }
            return isDue
        }
        guard isDue else { return }
        let seconds = max(0.001, start.duration(to: .now) / .seconds(1))
        let done = progress.ledger.received - progress.ledger.spooled
        var text = "\(progress.ledger.received) read, \(done) done, \(Int(Double(done) / seconds))/s"
        if let size = progress.bytesInFile, size > 0 {
            let percent = min(100, progress.bytesRead * 100 / size)
            let bar = String(repeating: "#", count: percent / 4).padding(toLength: 25, withPad: ".", startingAt: 0)
            text = isTerminal ? "[\(bar)] \(percent) %  \(text)" : "\(percent) %, \(text)"
        }
        // To the line's beginning, and what is left of a longer text away.
        FileHandle.standardError.write(Data((isTerminal ? "\r\(text)\u{1B}[K" : text + "\n").utf8))
    }

    func finish() {
        if isTerminal { FileHandle.standardError.write(Data("\n".utf8)) }
    }
}
