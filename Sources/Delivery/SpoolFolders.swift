import Foundation

/// Where the spools of an installation's processes on this machine are: `<data folder>/spool/<name>`.
public struct SpoolFolders: Sendable {
    /// Holds all of them.
    public let path: String

    public init(dataFolder: String) {
        path = dataFolder + "/spool"
    }

    /// Of the daemon that listens for HTTP on this port.
    public func ingest(port: Int) -> String { path + "/ingest-\(port)" }

    /// Of the API worker on this port.
    public func api(port: Int) -> String { path + "/api-\(port)" }

    /// For a process that only hands events in, and ends. Another one at each call.
    public func newImport() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return path + "/import-\(getpid())-\(time.tv_sec * 1_000_000_000 + time.tv_nsec)"
    }

    /// All that there are, in the order of their names.
    public var all: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.sorted().map { path + "/" + $0 }.filter { folder in
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) && isFolder.boolValue
        }
    }
}
