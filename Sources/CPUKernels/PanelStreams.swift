#if ISA_AVX512
  internal import CPlatform

  /// One row of activations against panels that are read in several places at once.
  ///
  /// A thread can have asked memory for some thirty lines at a time, which is less than memory can give it; but the
  /// processor reads ahead by itself as well, in each of the places.
  extension PackedProduct {
    /// Multiplies panels from `panel` on, `F.streamCount` of them at a time; returns the first one that is left.
    @inline(__always) func runStreams<F: PanelFormat>(_: F.Type, _ data: UnsafeRawPointer, _ panel: Int) -> Int {
      let end = (last &+ panelRows &- 1) / panelRows
      let apart = (end &- panel) / F.streamCount
      for number in panel..<panel &+ apart {
        let p = data + number &* w.panel_stride
        if F.streamCount == 8 { eightPanels(F.self, p, number, apart) } else { fourPanels(F.self, p, number, apart) }
      }
      var left = panel &+ F.streamCount &* apart
      while left &+ 2 <= end {
        twoPanels(F.self, data + left &* w.panel_stride, left)
        left &+= 2
      }
      return left
    }

    /// A panel and the next one.
    @inline(__always) private func twoPanels<F: PanelFormat>(_: F.Type, _ panel: UnsafeRawPointer, _ number: Int) {
      let x0 = row(0)
      var panels = PanelPair(panel, w.panel_stride)
      eachGroup(F.self, panel, isFirst: false) { elements, g in
        panels.begin(x0.offsets[g])
        var pair = 0
        while pair < 4 {
          let column = g &* 32 &+ pair &* 8
          panels.add(F.self, elements - panel, pair, x0.four(column), x0.four(column &+ 4))
          pair &+= 1
        }
        panels.end(g, x0.scales[g])
      }
      put(panels, number, 1)
    }

    /// Four panels, each `apart` panels behind the one before.
    @inline(__always) private func fourPanels<F: PanelFormat>(
      _: F.Type, _ panel: UnsafeRawPointer, _ number: Int, _ apart: Int
    ) {
      let x0 = row(0)
      let far = apart &* w.panel_stride
      var panels0 = PanelPair(panel, far)
      var panels2 = PanelPair(panel + 2 &* far, far)
      eachGroup(F.self, panel, isFirst: false) { elements, g in
        let offset = elements - panel
        panels0.begin(x0.offsets[g])
        panels2.begin(x0.offsets[g])
        var pair = 0
        while pair < 4 {
          let column = g &* 32 &+ pair &* 8
          let (x, next) = (x0.four(column), x0.four(column &+ 4))
          panels0.add(F.self, offset, pair, x, next)
          panels2.add(F.self, offset, pair, x, next)
          pair &+= 1
        }
        panels0.end(g, x0.scales[g])
        panels2.end(g, x0.scales[g])
      }
      put(panels0, number, apart)
      put(panels2, number &+ 2 &* apart, apart)
    }

    /// Eight panels, each `apart` panels behind the one before.
    @inline(__always) private func eightPanels<F: PanelFormat>(
      _: F.Type, _ panel: UnsafeRawPointer, _ number: Int, _ apart: Int
    ) {
      let x0 = row(0)
      let far = apart &* w.panel_stride
      var panels0 = PanelPair(panel, far)
      var panels2 = PanelPair(panel + 2 &* far, far)
      var panels4 = PanelPair(panel + 4 &* far, far)
      var panels6 = PanelPair(panel + 6 &* far, far)
      eachGroup(F.self, panel, isFirst: false) { elements, g in
        let (offset, first) = (elements - panel, x0.offsets[g])
        panels0.begin(first)
        panels2.begin(first)
        panels4.begin(first)
        panels6.begin(first)
        var pair = 0
        while pair < 4 {
          let column = g &* 32 &+ pair &* 8
          let (x, next) = (x0.four(column), x0.four(column &+ 4))
          panels0.add(F.self, offset, pair, x, next)
          panels2.add(F.self, offset, pair, x, next)
          panels4.add(F.self, offset, pair, x, next)
          panels6.add(F.self, offset, pair, x, next)
          pair &+= 1
        }
        panels0.end(g, x0.scales[g])
        panels2.end(g, x0.scales[g])
        panels4.end(g, x0.scales[g])
        panels6.end(g, x0.scales[g])
      }
      put(panels0, number, apart)
      put(panels2, number &+ 2 &* apart, apart)
      put(panels4, number &+ 4 &* apart, apart)
      put(panels6, number &+ 6 &* apart, apart)
    }

    @inline(__always) private func put(_ panels: PanelPair, _ number: Int, _ apart: Int) {
      put(panels.total0, panels.panel, number, 0)
      put(panels.total1, panels.panel + panels.far, number &+ apart, 0)
    }
  }

  /// One row of activations against two panels: the sums of the group at hand, and of all groups so far.
  private struct PanelPair {
    let panel: UnsafeRawPointer
    /// Bytes from the first panel to the second.
    let far: Int
    var sums0 = SixteenInts(repeating: 0)
    var sums1 = SixteenInts(repeating: 0)
    var total0 = sixteen(0)
    var total1 = sixteen(0)

    @inline(__always) init(_ panel: UnsafeRawPointer, _ far: Int) {
      self.panel = panel
      self.far = far
    }

    @inline(__always) mutating func begin(_ offset: Int32) {
      sums0 = firstSums(offset)
      sums1 = sums0
    }

    /// A pair of steps of a group whose elements are `offset` bytes behind the beginning of a panel. What comes next is
    /// asked for line by line between the products: all lines of a group together held up its loads.
    @inline(__always) mutating func add<F: PanelFormat>(
      _: F.Type, _ offset: Int, _ pair: Int, _ x: Int32, _ next: Int32
    ) {
      let byteCount = F.groupByteCount / 4
      var line = pair &* byteCount
      while line < (pair &+ 1) &* byteCount {
        if line % F.streamStep == 0 {
          platform_prefetch_second(panel + (offset &+ line &+ F.streamDistance))
          platform_prefetch_second(panel + (far &+ offset &+ line &+ F.streamDistance))
        }
        line &+= 64
      }
      let (a0, b0) = F.steps(panel + offset, pair)
      let (a1, b1) = F.steps(panel + (far &+ offset), pair)
      a0.add(x, to: &sums0)
      a1.add(x, to: &sums1)
      b0.add(next, to: &sums0)
      b1.add(next, to: &sums1)
    }

    @inline(__always) mutating func end(_ g: Int, _ scale: Float) {
      total0 = fused(sixteenFloats(sums0), panelScales(panel, g) * sixteen(scale), total0)
      total1 = fused(sixteenFloats(sums1), panelScales(panel + far, g) * sixteen(scale), total1)
    }
  }
#endif
