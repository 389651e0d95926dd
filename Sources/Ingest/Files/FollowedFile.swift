/// A file whose lines become events as they are written.
struct FollowedFile: Hashable, Sendable {
    let path: String
    /// By whose rules its lines are read. Nil: each line is an event as JSON, or has a syslog header that names its program.
    let program: String?

    init(path: String, program: String? = nil) {
        self.path = path
        self.program = program
    }

    /// Reads `[program=]path`, an entry of ATTUNE_INGEST_FILES; nil if the path does not begin with a slash.
    init?(_ text: String) {
        guard let slash = text.firstIndex(of: "/") else { return nil }
        let name = text[..<slash]
        guard name.isEmpty || name.last == "=" && name.count > 1 else { return nil }
        self.init(path: String(text[slash...]), program: name.isEmpty ? nil : String(name.dropLast()))
    }
}
