import Glibc
import Synchronization

/// A bar on stderr that is redrawn in place; on anything but a terminal it does nothing.
final class ProgressBar: Sendable {
  private struct Screen {
    var isDrawn = false
    var lastDraw = 0.0
  }
  /// There is one terminal, so what stands on it is known in one place.
  private static let screen = Mutex(Screen())
  private static let width = 30
  private static let secondsBetweenDraws = 0.05

  private let title: String
  private let drawsAlways: Bool
  private let unit: @Sendable (UInt64, UInt64) -> String

  /// - Parameters:
  ///   - drawsAlways: also where it was drawn just now.
  ///   - unit: words for how much is done of how much.
  init(_ title: String, drawsAlways: Bool = false, unit: @escaping @Sendable (UInt64, UInt64) -> String) {
    self.title = title
    self.drawsAlways = drawsAlways
    self.unit = unit
  }

  /// Draws the bar unless it was drawn just now. Any thread.
  func show(_ done: UInt64, of total: UInt64) {
    guard Console.isErrorATerminal, total > 0 else { return }
    let now = Clock.seconds()
    ProgressBar.screen.withLock { screen in
      guard drawsAlways || done >= total || now - screen.lastDraw >= ProgressBar.secondsBetweenDraws else { return }
      screen.lastDraw = now
      screen.isDrawn = true
      Console.writeToError(line(min(done, total), total))
    }
  }

  private func line(_ done: UInt64, _ total: UInt64) -> String {
    let share = Double(done) / Double(total)
    let filled = Int(share * Double(ProgressBar.width))
    let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: ProgressBar.width - filled)
    return "\r\(title) [\(bar)] \(Int(share * 100)) %  \(unit(done, total))\u{1B}[K"
  }

  /// Takes the bar off the screen, so that a message or an answer can stand there.
  static func clear() {
    screen.withLock { screen in
      guard screen.isDrawn else { return }
      screen.isDrawn = false
      Console.writeToError("\r\u{1B}[K")
    }
  }
}

enum Clock {
  /// Seconds of the monotonic clock.
  static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
