#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What the operating system knows of this process, under the names that Prometheus' client libraries use.
enum ProcessFigures {
    static func render(into text: inout PrometheusText) {
        var used = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used)
        let seconds = Double(used.tv_sec) + Double(used.tv_nsec) / 1e9
        text.head("process_cpu_seconds_total", help: "Processor time used, user and system.", type: "counter")
        text.sample("process_cpu_seconds_total", "", PrometheusText.number(seconds))

        if let resident = residentMemory() {
            text.head("process_resident_memory_bytes", help: "Memory in use.", type: "gauge")
            text.sample("process_resident_memory_bytes", "", "\(resident)")
        }
        if let descriptors = openDescriptors() {
            text.head("process_open_fds", help: "Open files and sockets.", type: "gauge")
            text.sample("process_open_fds", "", "\(descriptors)")
        }
    }

    /// The second number of /proc/self/statm, in pages; nil where there is no /proc.
    private static func residentMemory() -> Int? {
        let file = open("/proc/self/statm", O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = read(file, &buffer, buffer.count)
        guard count > 0 else { return nil }
        let fields = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return nil }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    private static func openDescriptors() -> Int? {
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
}
