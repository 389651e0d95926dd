import Wire

extension LedgerSnapshot {
    /// For health pages: `{"<input>": {received, stored, duplicates, deadLettered, spooled}, …, "total": {…}}`.
    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        for line in lines {
            writer.key(line.input)
            line.counts.write(to: &writer)
        }
        writer.key("total")
        total.write(to: &writer)
        writer.endObject()
    }
}

extension LedgerCounts {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.beginObject()
        let counts = [
            ("received", received), ("stored", stored), ("duplicates", duplicates), ("deadLettered", deadLettered),
            ("spooled", spooled),
        ]
        for (name, count) in counts {
            writer.key(name)
            writer.integer(count)
        }
        writer.endObject()
    }
}
