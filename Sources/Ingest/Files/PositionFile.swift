#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif
import Wire

/// Keeps the positions of followed files over a restart: a JSON object in each line, written anew each time.
struct PositionFile {
    let folder: String

    private var path: String { folder + "/positions.jsonl" }

    /// None if there is no such file. Lines that are damaged are passed over: those files are read anew, and their lines known.
    func load() throws(FileProblem) -> [FilePosition] {
        let file: OpenFile
        do {
            file = try OpenFile(path)
        } catch {
            if error.isNotFound { return [] }
            throw error
        }
        let bytes = try file.read(at: 0, count: Int(try file.status().size))
        return bytes.split(separator: .newline).compactMap { (try? JSON(parsing: $0)).flatMap(FilePosition.init) }
    }

    /// When it returns, the positions survive a power failure.
    func save(_ positions: [FilePosition]) throws(FileProblem) {
        let text = positions.map { $0.json.text + "\n" }.joined()
        if mkdir(folder, 0o700) != 0, errno != EEXIST { throw FileProblem(folder) }
        let draft = path + ".new"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileProblem(draft) }
        defer { close(descriptor) }
        guard write(descriptor, text, text.utf8.count) == text.utf8.count, fdatasync(descriptor) == 0, rename(draft, path) == 0
        else { throw FileProblem(draft) }
    }
}
