import Domain

/// The reports in the body of a request, one after the other. Whoever reads them may stop at any of them.
///
/// A report that cannot be read is rejected by itself. Where an array breaks off or is no JSON, the reports before that place
/// stand, and all from there on is one rejection.
public struct EventBody: Sequence, IteratorProtocol {
    public enum Format: Equatable, Sendable {
        /// One event, or an array of them: `application/json`, and CloudEvents' structured and batched modes.
        case json
        /// An event in each line (NDJSON, JSON Lines). Empty lines are skipped.
        case lines

        /// - Parameter contentType: of the request. Parameters behind a semicolon do not matter.
        /// - Returns: nil if there are no events in such a body.
        public init?(contentType: String) {
            let mediaType = contentType.prefix { $0 != ";" }.lowercased().trimmingBlanks()
            switch mediaType {
            case "application/json", "application/cloudevents+json", "application/cloudevents-batch+json": self = .json
            case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines",
                "application/x-jsonlines":
                self = .lines
            default: return nil
            }
        }
    }

    public struct Report: Sendable {
        /// Among the reports of the body, from 0.
        public let index: Int
        /// Where it is in the body.
        public let raw: Range<Int>
        public let result: Result<ReportedEvent, EventRejection>
    }

    private enum Place {
        case beginning
        case line
        case firstElement
        case laterElement
        case end
    }

    private let bytes: [UInt8]
    private let format: Format
    private let reader: EventReader
    private let receivedAt: Instant
    private var place = Place.beginning
    private var position = 0
    private var count = 0

    public init(_ bytes: [UInt8], format: Format, reader: EventReader, receivedAt: Instant) {
        self.bytes = bytes
        self.format = format
        self.reader = reader
        self.receivedAt = receivedAt
    }

    public mutating func next() -> Report? {
        let bytes = bytes
        return bytes.withUnsafeBytes { next(in: $0) }
    }

    private mutating func next(in bytes: UnsafeRawBufferPointer) -> Report? {
        switch place {
        case .beginning:
            // Some programs on Windows put a byte order mark in front.
            if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
            if format == .lines {
                place = .line
                return nextLine(in: bytes)
            }
            var scanner = JSONScanner(bytes, at: position)
            scanner.skipBlanks()
            guard scanner.take(UInt8(ascii: "[")) else {
                place = .end
                return report(position..<bytes.count, read(bytes[position...]))
            }
            position = scanner.index
            place = .firstElement
            return nextElement(in: bytes)
        case .line: return nextLine(in: bytes)
        case .firstElement, .laterElement: return nextElement(in: bytes)
        case .end: return nil
        }
    }

    private mutating func nextLine(in bytes: UnsafeRawBufferPointer) -> Report? {
        while position < bytes.count {
            let start = position
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            position = end + 1
            let isEmpty = bytes[start..<end].allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
            if !isEmpty { return report(start..<end, read(bytes[start..<end])) }
        }
        place = .end
        return nil
    }

    private mutating func nextElement(in bytes: UnsafeRawBufferPointer) -> Report? {
        var scanner = JSONScanner(bytes, at: position)
        scanner.skipBlanks()
        do throws(EventRejection) {
            if place == .laterElement || scanner.current == UInt8(ascii: "]") {
                if scanner.take(UInt8(ascii: "]")) {
                    place = .end
                    scanner.skipBlanks()
                    guard scanner.isAtEnd else { throw scanner.failure("unexpected text after the array") }
                    return nil
                }
                guard scanner.take(UInt8(ascii: ",")) else { throw scanner.failure("',' or ']' is missing") }
                scanner.skipBlanks()
            }
            place = .laterElement
            let start = scanner.index
            let result = try readElement(&scanner)
            position = scanner.index
            return report(start..<position, result)
        } catch {
            place = .end
            return report(scanner.index..<bytes.count, .failure(error))
        }
    }

    /// Reads past an element. Throws if it is not known where it ends.
    private func readElement(_ scanner: inout JSONScanner) throws(EventRejection) -> Result<ReportedEvent, EventRejection> {
        let start = scanner
        do throws(EventRejection) {
            guard scanner.current == UInt8(ascii: "{") else {
                _ = try scanner.takeValue()
                return .failure(.notAnObject)
            }
            let members = try scanner.takeMembers(within: EventLimits.report)
            guard scanner.index - start.index <= EventLimits.report else {
                return .failure(.tooLong("the event", EventLimits.report))
            }
            do throws(EventRejection) {
                return .success(try reader.event(members, in: scanner, receivedAt: receivedAt))
            } catch {
                return .failure(error)
            }
        } catch {
            let isTooDeep = scanner.isTooDeep
            scanner = start
            guard isTooDeep, scanner.skipUnchecked() else { throw error }
            return .failure(error)
        }
    }

    private func read(_ json: Slice<UnsafeRawBufferPointer>) -> Result<ReportedEvent, EventRejection> {
        do throws(EventRejection) {
            return .success(try reader.read(UnsafeRawBufferPointer(rebasing: json), receivedAt: receivedAt))
        } catch {
            return .failure(error)
        }
    }

    private mutating func report(_ raw: Range<Int>, _ result: Result<ReportedEvent, EventRejection>) -> Report {
        defer { count += 1 }
        return Report(index: count, raw: raw, result: result)
    }
}

extension String {
    fileprivate func trimmingBlanks() -> Substring {
        let start = drop { $0 == " " || $0 == "\t" }
        return start.prefix(start.count - start.reversed().prefix { $0 == " " || $0 == "\t" }.count)
    }
}
