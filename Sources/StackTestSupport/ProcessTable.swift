import Foundation

/// The processes of this machine, from `/proc`.
public enum ProcessTable {
    /// A process for good: ids are given away again, and the time of the start tells their owners apart.
    public struct Entry: Hashable, Sendable {
        public let id: pid_t
        let startedAt: String
        fileprivate let parent: pid_t
        fileprivate let isZombie: Bool
    }

    /// The process and all that descend from it.
    public static func family(of root: pid_t) -> Set<Entry> {
        let all = entries()
        var family = Set(all.filter { $0.id == root })
        while true {
            let ids = Set(family.map(\.id))
            let children = all.filter { ids.contains($0.parent) && !family.contains($0) }
            if children.isEmpty { return family }
            family.formUnion(children)
        }
    }

    /// Those of them that still run. Zombies do not: they wait for somebody else to take note of their end.
    public static func running(_ processes: Set<Entry>) -> [pid_t] {
        processes.compactMap { process in
            guard let now = entry(process.id), now.startedAt == process.startedAt, !now.isZombie else { return nil }
            return process.id
        }
    }

    private static func entries() -> [Entry] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }.compactMap(entry)
    }

    private static func entry(_ id: pid_t) -> Entry? {
        // "12 (a name (with) anything) S 1 …": state, parent, and as the twentieth after the name the start.
        guard let text = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8), let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let parent = pid_t(fields[1]) else { return nil }
        return Entry(id: id, startedAt: String(fields[19]), parent: parent, isZombie: fields[0] == "Z" || fields[0] == "X")
    }
}
