#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What the operating system knows of this process, under the names that Prometheus' client libraries use.
enum ProcessFigures {
    /// Gives each figure that the system knows to `show`.
    static func forEach(_ show: (_ name: String, _ type: String, _ value: String) -> Void) {
        var used = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used)
        show("process_cpu_seconds_total", "counter", PrometheusText.number(Double(used.tv_sec) + Double(used.tv_nsec) / 1e9))
        if let memory = readMemory() {
            show("process_resident_memory_bytes", "gauge", "\(memory.resident)")
            show("process_virtual_memory_bytes", "gauge", "\(memory.virtual)")
        }
        if let descriptors = countOpenDescriptors() { show("process_open_fds", "gauge", "\(descriptors)") }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            show("process_max_fds", "gauge", "\(limit.rlim_cur)")
        }
        if let startTime { show("process_start_time_seconds", "gauge", PrometheusText.number(startTime)) }
    }

    /// In bytes: the first two numbers of /proc/self/statm, which are pages; nil where there is no /proc.
    private static func readMemory() -> (virtual: Int, resident: Int)? {
        let fields = contents(of: "/proc/self/statm").split(separator: " ")
        guard fields.count > 1, let virtual = Int(fields[0]), let resident = Int(fields[1]) else { return nil }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        return (virtual * page, resident * page)
    }

    private static func countOpenDescriptors() -> Int? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while let entry = readdir(directory) {
            // Not `.` and `..`, nor the descriptor that reads this directory.
            let isHidden = withUnsafeBytes(of: entry.pointee.d_name) { $0[0] == UInt8(ascii: ".") }
            if !isHidden { count += 1 }
        }
        return count - 1
    }

    /// When the process started, in seconds since 1970: so many ticks after the machine did.
    private static let startTime: Double? = {
        // "12 (a name (with) anything) S 1 …": the twentieth field after the name.
        let process = contents(of: "/proc/self/stat").split(separator: ")").last?.split(separator: " ") ?? []
        let machine = contents(of: "/proc/stat").split(separator: "\n").first { $0.hasPrefix("btime ") }
        guard process.count > 19, let ticks = Double(process[19]), let boot = machine.flatMap({ Double($0.dropFirst(6)) })
        else { return nil }
        return boot + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }()

    /// Empty when there is no such file.
    private static func contents(of path: String) -> String {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(file, &buffer, buffer.count)
            guard count > 0 else { return String(decoding: content, as: UTF8.self) }
            content += buffer[..<count]
        }
    }
}
