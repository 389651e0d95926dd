import Domain

/// The members of a reported JSON object, by what they mean to an event.
///
/// Whoever understands a member takes it; what nobody took goes into the context at the end.
struct EventFields {
    /// The names that events, CloudEvents and OCSF use.
    enum Name: Int {
        case id, source, type, severity, severityID, timestamp, occurredAt, time, userID, ip, details, message, context, metadata
        case specVersion, dataContentType, data, dataBase64

        init?(_ name: JSONScanner.Value, in scanner: JSONScanner) {
            if name.hasEscapes {
                var text = scanner.text(of: name)
                guard let known = text.withUTF8({ Self(UnsafeRawBufferPointer($0)) }) else { return nil }
                self = known
            } else {
                guard let known = Self(scanner.content(of: name)) else { return nil }
                self = known
            }
        }

        private init?(_ text: UnsafeRawBufferPointer) {
            func named(_ name: StaticString, _ value: Self) -> Self? {
                text.elementsEqual(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)) ? value : nil
            }
            let known: Self? =
                switch text.count {
                case 2: named("id", .id) ?? named("ip", .ip)
                case 4: named("type", .type) ?? named("time", .time) ?? named("data", .data)
                case 6: named("source", .source) ?? named("userId", .userID)
                case 7: named("details", .details) ?? named("context", .context) ?? named("message", .message)
                case 8: named("severity", .severity) ?? named("metadata", .metadata)
                case 9: named("timestamp", .timestamp)
                case 10: named("occurredAt", .occurredAt)
                case 11: named("specversion", .specVersion) ?? named("severity_id", .severityID) ?? named("data_base64", .dataBase64)
                case 15: named("datacontenttype", .dataContentType)
                default: nil
                }
            guard let known else { return nil }
            self = known
        }
    }

    private let scanner: JSONScanner
    private let members: [JSONScanner.Member]
    /// For each name, the index of its last member; −1 for none.
    private var places = SIMD32<Int32>(repeating: -1)
    /// Indices of members that do not go into the context.
    private var taken: [Bool]

    /// - Parameter names: the names that mean something in this object.
    init(_ members: [JSONScanner.Member], in scanner: JSONScanner, knowing names: (Name) -> Bool = { _ in true }) {
        self.scanner = scanner
        self.members = members
        taken = Array(repeating: false, count: members.count)
        for (index, member) in members.enumerated() {
            guard let name = Name(member.name, in: scanner), names(name) else { continue }
            let earlier = places[name.rawValue]
            if earlier >= 0 { taken[Int(earlier)] = true }
            places[name.rawValue] = Int32(index)
        }
    }

    /// A member's value, to be looked at. Nil if there is none, or null.
    func value(_ name: Name) -> JSONScanner.Value? {
        let place = places[name.rawValue]
        guard place >= 0 else { return nil }
        let value = members[Int(place)].value
        return value.kind == .null ? nil : value
    }

    /// Keeps a member out of the context.
    mutating func take(_ name: Name) {
        let place = places[name.rawValue]
        if place >= 0 { taken[Int(place)] = true }
    }

    /// Takes a member that is text; nil if it is missing, empty or no text.
    mutating func takeText(_ name: Name) -> String? {
        guard let value = value(name), value.kind == .string else { return nil }
        take(name)
        return value.end - value.start == 2 ? nil : scanner.text(of: value)
    }

    /// Appends what nobody took, as members of a JSON object.
    func appendRest(to text: inout [UInt8]) {
        for (index, member) in members.enumerated() where !taken[index] {
            if !text.isEmpty { text.append(UInt8(ascii: ",")) }
            scanner.copy(member.name, to: &text)
            text.append(UInt8(ascii: ":"))
            scanner.copy(member.value, to: &text)
        }
    }
}
