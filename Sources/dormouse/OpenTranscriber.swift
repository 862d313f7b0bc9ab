import CDormouse

/// A sound in a file.
final class OpenSound {
  let handle: OpaquePointer

  init(_ path: String) throws(CommandFailure) {
    var opened: OpaquePointer?
    try Library.call { dormouse_attachment_create_from_file(&opened, Int32(DORMOUSE_ATTACHMENT_AUDIO), path, $0) }
    guard let opened else { throw CommandFailure(message: "\(path): the library gave no sound") }
    handle = opened
  }

  deinit { dormouse_attachment_free(handle) }
}

/// An open Whisper model.
final class OpenTranscriber {
  let handle: OpaquePointer

  init(_ model: String, _ machine: MachineOptions) throws(CommandFailure) {
    var opened: OpaquePointer?
    try Library.load(machine.settings) { dormouse_transcriber_open(&opened, model, &$0, $1) }
    guard let opened else { throw CommandFailure(message: "\(model): the library gave no transcriber") }
    handle = opened
  }

  deinit { dormouse_transcriber_free(handle) }

  /// Writes down a sound; an interrupt stops it. `onSegment` may throw, which stops the work and comes out of here.
  func run(
    _ sound: OpenSound, configuration: String, onSegment: (dormouse_segment) throws(CommandFailure) -> Void
  ) throws(CommandFailure) {
    let address = UInt(bitPattern: handle)
    try Interrupt.shared.whileStopping(
      with: { dormouse_transcriber_cancel(OpaquePointer(bitPattern: address)) }
    ) { () throws(CommandFailure) in
      try withReceiver(onSegment) { (receiver: Receiver<dormouse_segment>) throws(CommandFailure) in
        let function: dormouse_segment_fn = { Receiver<dormouse_segment>.receive($0, $1) }
        try Library.call { error in
          dormouse_transcriber_run(handle, sound.handle, configuration, function, receiver.pointer, error)
        }
      }
      if Interrupt.shared.isRequested { throw .interrupted }
    }
  }
}
