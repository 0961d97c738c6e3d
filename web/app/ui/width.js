/** How wide the window is, for what a sheet cannot decide alone. */
import { useEffect, useState } from "preact/hooks";

/** @returns {number} the window's width in CSS pixels; the component is drawn again when it changes */
export function useWidth() {
  const [width, setWidth] = useState(innerWidth);
  useEffect(() => {
    const update = () => setWidth(innerWidth);
    addEventListener("resize", update);
    return () => removeEventListener("resize", update);
  }, []);
  return width;
}
