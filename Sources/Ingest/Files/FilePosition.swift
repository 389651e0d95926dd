import Wire

/// How far a file has been read, and how it is recognised: by its first line, and by what stands before the position.
struct FilePosition: Equatable, Sendable {
    /// The name by which the file is followed. It may have another one by now.
    var path: String
    var inode: UInt64
    /// A hash of the first line.
    var fingerprint: UInt64
    /// How often the file was emptied and then began with the same line.
    var generation = 0
    /// Where the next line begins, in bytes.
    var offset: UInt64 = 0
    /// A hash of the bytes before `offset`.
    var check = Fingerprint.empty

    /// What names the line at an offset among all lines of files on this host. The same after a restart, and under any name the
    /// file is given: a line that is read a second time is known.
    func id(ofLineAt offset: UInt64) -> String {
        "\(inode):\(String(fingerprint, radix: 16)):\(generation):\(offset)"
    }

    /// Tells this file from earlier ones that had the same inode and began with the same line.
    mutating func follow(_ earlier: [FilePosition]) {
        let generations = earlier.filter { $0.inode == inode && $0.fingerprint == fingerprint }.map(\.generation)
        if let last = generations.max() { generation = last + 1 }
    }

    var json: JSON {
        .object([
            .init(key: "path", value: .string(path)), .init(key: "inode", value: .string(String(inode))),
            .init(key: "fingerprint", value: .string(String(fingerprint, radix: 16))),
            .init(key: "generation", value: .number(Double(generation))), .init(key: "offset", value: .number(Double(offset))),
            .init(key: "check", value: .string(String(check, radix: 16))),
        ])
    }

    init(path: String, inode: UInt64, fingerprint: UInt64) {
        self.path = path
        self.inode = inode
        self.fingerprint = fingerprint
    }

    init?(_ json: JSON) {
        guard let path = json["path"]?.stringValue, let inode = json["inode"]?.stringValue.flatMap({ UInt64($0) }),
            let fingerprint = json["fingerprint"]?.stringValue.flatMap({ UInt64($0, radix: 16) }),
            case .number(let generation)? = json["generation"], case .number(let offset)? = json["offset"],
            let check = json["check"]?.stringValue.flatMap({ UInt64($0, radix: 16) })
        else { return nil }
        self.init(path: path, inode: inode, fingerprint: fingerprint)
        self.generation = Int(generation)
        self.offset = UInt64(offset)
        self.check = check
    }
}

/// FNV-1a with 64 bits: recognises, and proves nothing.
enum Fingerprint {
    static let empty: UInt64 = 0xcbf2_9ce4_8422_2325

    static func of(_ bytes: some Sequence<UInt8>, after start: UInt64 = empty) -> UInt64 {
        bytes.reduce(start) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}
