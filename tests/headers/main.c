/* main.c - nothing to run: see meson.build. */
int main(void)
{
    return 0;
}
