import Wire

/// The members of a reported JSON object, by what they mean to an event.
///
/// Whoever understands a member takes it; what nobody took goes into the context at the end.
struct EventFields {
    /// The names that events, CloudEvents and OCSF use.
    enum Name: Int, CaseIterable {
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
                case 11:
                    named("specversion", .specVersion) ?? named("severity_id", .severityID) ?? named("data_base64", .dataBase64)
                case 15: named("datacontenttype", .dataContentType)
                default: nil
                }
            guard let known else { return nil }
            self = known
        }
    }

    /// Several names.
    struct Names: ExpressibleByArrayLiteral {
        private var bits: UInt32 = 0

        static let all = Names(Name.allCases)

        init(arrayLiteral names: Name...) { self.init(names) }

        private init(_ names: [Name]) {
            for name in names { insert(name) }
        }

        mutating func insert(_ name: Name) { bits |= 1 << UInt32(name.rawValue) }

        func contains(_ name: Name) -> Bool { bits & 1 << UInt32(name.rawValue) != 0 }
    }

    private let scanner: JSONScanner
    private let members: [JSONScanner.Member]
    private let knownNames: Names
    /// For each name, the index of its last member; −1 for none, and for one that is empty.
    private var places = SIMD32<Int32>(repeating: -1)
    /// Names whose members are kept out of the context.
    private var taken: Names = []
    /// Whether there is a member that nobody can take.
    private var hasUnknown = false

    /// - Parameter knownNames: the names that mean something in this object. Where they are null or an empty text, they mean as
    ///   much as if they were missing.
    init(_ members: [JSONScanner.Member], in scanner: JSONScanner, knowing knownNames: Names = .all) {
        self.scanner = scanner
        self.members = members
        self.knownNames = knownNames
        for (index, member) in members.enumerated() {
            if let name = knownName(of: member) {
                places[name.rawValue] = isEmpty(member.value) ? -1 : Int32(index)
            } else {
                hasUnknown = true
            }
        }
    }

    private func knownName(of member: JSONScanner.Member) -> Name? {
        guard let name = Name(member.name, in: scanner), knownNames.contains(name) else { return nil }
        return name
    }

    private func isEmpty(_ value: JSONScanner.Value) -> Bool {
        value.kind == .null || value.kind == .string && value.end - value.start == 2
    }

    /// A member's value and where to read it.
    struct Value {
        fileprivate let place: JSONScanner.Value
        fileprivate let scanner: JSONScanner

        var isObject: Bool { place.kind == .object }

        /// The value, if it is a string.
        var text: String? { place.kind == .string ? scanner.text(of: place) : nil }

        /// The bytes of a string without escapes.
        var plainText: UnsafeRawBufferPointer? {
            place.kind == .string && !place.hasEscapes ? scanner.content(of: place) : nil
        }

        /// The digits, if it is a number.
        var number: UnsafeRawBufferPointer? { place.kind == .number ? scanner.content(of: place) : nil }

        /// The members, if it is an object.
        var members: [JSONScanner.Member]? {
            guard isObject else { return nil }
            var inside = JSONScanner(scanner.bytes, at: place.start)
            // The scanner has read past it before, so it does not fail now.
            return try? inside.takeMembers(within: .max)
        }

        /// As JSON without blanks.
        var json: String {
            var json: [UInt8] = []
            scanner.copy(place, to: &json)
            return String(decoding: json, as: UTF8.self)
        }
    }

    /// A member's value; nil if there is none, or it is empty.
    func value(_ name: Name) -> Value? {
        let place = places[name.rawValue]
        return place < 0 ? nil : Value(place: members[Int(place)].value, scanner: scanner)
    }

    /// Keeps a member out of the context.
    mutating func take(_ name: Name) {
        taken.insert(name)
    }

    /// Appends what nobody took, as members of a JSON object.
    func appendRest(to text: inout [UInt8]) {
        guard hasUnknown || Name.allCases.contains(where: { places[$0.rawValue] >= 0 && !taken.contains($0) }) else { return }
        for (index, member) in members.enumerated() {
            let name = knownName(of: member)
            if let name, places[name.rawValue] != index || taken.contains(name) { continue }
            if !text.isEmpty { text.append(UInt8(ascii: ",")) }
            scanner.copy(member.name, to: &text)
            text.append(UInt8(ascii: ":"))
            if name == .dataBase64, member.value.kind == .string {
                appendBeginning(of: member.value, to: &text)
            } else {
                scanner.copy(member.value, to: &text)
            }
        }
    }

    /// Nobody reads base64: its first characters are enough to recognise it.
    private func appendBeginning(of base64: JSONScanner.Value, to text: inout [UInt8]) {
        var beginning = scanner.text(of: base64)
        beginning.cut(to: 1024)
        text += JSONWriter.bytes { $0.string(beginning) }
    }
}
